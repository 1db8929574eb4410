/** Starts the page: its tabs and what each of them shows. The modules of the other tabs are loaded when these are first shown. */

import { open } from "./forecast/opening.js";
import { startLanguage } from "./shared/language.js";
import { startTabs } from "./shared/tabs.js";

const WATCH = "watch"; // in the address: a list to open with

if (!location.hash && new URLSearchParams(location.search).has(WATCH)) {
  history.replaceState(history.state, "", "#watchlist");
}
startLanguage();
startTabs(/** @type {HTMLElement} */ (document.querySelector(".tabs")), {
  "#watchlist": async () => (await import("./watchlist/watchlist.js")).showWatchlist(),
  "#backtest": async () => (await import("./backtest/backtest.js")).loadBacktest(),
  "#monitoring": async () => (await import("./monitoring/monitoring.js")).followMonitoring(),
});
open();
