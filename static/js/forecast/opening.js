/** Opens the page with the forecast of the symbol in its address, or else that of the embedded example. */

import { symbolInAddress } from "../shared/address.js";
import { KEY_HEADER } from "../shared/apiKey.js";
import { withoutKey } from "./snippets.js";
import { originOf } from "./origin.js";
import { readPast } from "./past.js";
import { LEVELS } from "./levels.js";
import { onReturn, showOutput } from "./output.js";
import { askFor, forgetAsked, keptQuestion, restore } from "./question.js";
import { byId } from "../shared/dom.js";

/** @typedef {import("../shared/api.js").SymbolAnswer & {key_needed: boolean, past: string}} Opening  past: a backtest as CSV */

/**
 * Restore the question that was kept, request the symbol in the address, or show the example; without a model there is no example. Back and
 * Forward show the address again.
 */
export function open() {
  onReturn(openAddress, forgetAsked);
  const kept = keptQuestion();
  if (!kept?.isAsked) {
    openAddress();
  }
  if (kept) {
    restore(kept);
  }
}

function openAddress() {
  const symbol = symbolInAddress();
  const example = /** @type {Opening | null} */ (JSON.parse(byId("opening").textContent));
  if (symbol) {
    askFor(symbol);
  } else if (example) {
    show(example);
  }
}

/** The example, with the POST that gives its forecast. @param {Opening} answer */
function show(answer) {
  const { closes, dates, symbol, path, key_needed, past } = answer;
  const example = JSON.parse(byId("example").textContent);
  const body = { predict: example.closes, horizon: path.length, levels: LEVELS.split(",").map(Number) };
  showOutput({
    answer,
    closes,
    dates,
    symbol,
    past: readPast(past),
    isExample: true,
    ...originOf(answer),
    call: { url: byId("form").action, body, headers: key_needed ? withoutKey({ [KEY_HEADER]: "" }) : [] },
  });
}
