/** Starts the page: its tabs and what each of them shows. The modules of the other tabs are loaded when these are first shown. */

import { open } from "./forecast/opening.js";
import { keepQuestion } from "./forecast/question.js";
import { LIST } from "./shared/address.js";
import { startLanguage } from "./shared/language.js";
import { startTabs } from "./shared/tabs.js";

if (!location.hash && new URLSearchParams(location.search).has(LIST)) {
  history.replaceState(history.state, "", "#watchlist");
}
startLanguage(keepQuestion);
startTabs(/** @type {HTMLElement} */ (document.querySelector(".tabs")), {
  "#watchlist": async () => (await import("./watchlist/watchlist.js")).showWatchlist(),
  "#backtest": async () => (await import("./backtest/backtest.js")).loadBacktest(),
  "#monitoring": async () => (await import("./monitoring/monitoring.js")).followMonitoring(),
});
open();
