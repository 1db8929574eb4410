/** Starts the page: its tabs and what each of them shows. */

import { loadBacktest } from "./backtest.js";
import "./forecast.js";
import { followMonitoring } from "./monitoring.js";
import { open } from "./opening.js";
import { startTabs } from "./tabs.js";

startTabs(/** @type {HTMLElement} */ (document.querySelector(".tabs")), { "#backtest": loadBacktest, "#monitoring": followMonitoring });
open();
