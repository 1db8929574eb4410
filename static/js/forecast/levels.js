/** The level of the range that is shown in words. */

import { chosen, onChoice } from "../shared/choice.js";
import { byId } from "../shared/dom.js";
import { t } from "../shared/texts.js";

/** @typedef {"50" | "80" | "95"} Level  percent */

export const LEVELS = "50,80,95"; // of each request
const TIMES = { "50": t("5 times in 10"), "80": t("8 times in 10"), "95": t("19 times in 20") };

const buttons = /** @type {HTMLButtonElement[]} */ ([...byId("levels").querySelectorAll("button")]);

/** Return the chosen level. @returns {Level} */
export function chosenLevel() {
  return /** @type {Level} */ (chosen(buttons)?.dataset.level ?? "80");
}

/** How often a close is in an interval of this level, in words. @param {Level} level */
export function times(level) {
  return TIMES[level];
}

/** Call a function whenever another level is chosen. @param {() => void} show */
export function onLevel(show) {
  onChoice(buttons, show);
}
