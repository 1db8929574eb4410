/** Starts the page: its tabs and what each of them shows. */

import { loadBacktest } from "./backtest/backtest.js";
import { open } from "./forecast/opening.js";
import { followMonitoring } from "./monitoring/monitoring.js";
import { startLanguage } from "./shared/language.js";
import { startTabs } from "./shared/tabs.js";

startLanguage();
startTabs(/** @type {HTMLElement} */ (document.querySelector(".tabs")), { "#backtest": loadBacktest, "#monitoring": followMonitoring });
open();
