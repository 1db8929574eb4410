/** Shows an answer of /predict as sentences, warnings and a table. */

import { duration, percent, priceFormat, steps } from "../shared/format.js";
import { write } from "../shared/prose.js";
import { tableRow } from "../shared/table.js";

/** @typedef {import("../shared/api.js").Answer} Answer */
/** @typedef {import("../shared/api.js").Step} Step */

/** @param {Answer} answer */
export function showAnswer(answer) {
  const format = priceFormat(answer.last_close);
  const final = answer.path[answer.path.length - 1];
  put("low80", answer.intervals["80"][0], format);
  put("high80", answer.intervals["80"][1], format);
  put("low95", answer.intervals["95"][0], format);
  put("high95", answer.intervals["95"][1], format);
  put("price", answer.predicted_price, format);
  put("last", answer.last_close, format);
  put("horizon", final.step, (step) => steps(step, answer.warnings));
  put("finalDate", final.date ?? "", (date) => (date ? ` (${date})` : ""));
  put("finalLow80", final.intervals["80"][0], format);
  put("finalHigh80", final.intervals["80"][1], format);
  put("finalLow95", final.intervals["95"][0], format);
  put("finalHigh95", final.intervals["95"][1], format);
  put("version", answer.model_version, String);
  put("modelSymbol", answer.model_symbol ?? "", String);
  find("#own-model").hidden = !answer.model_symbol;
  put("time", answer.response_time_sec ?? 0, duration);
  find("#answered").hidden = answer.response_time_sec === undefined;
  find("#final-close").hidden = final.step === 1;
  showTrackRecord(answer.track_record ?? null);
  showComparison(answer);
  showWarnings(answer.warnings);
  find("#table tbody").replaceChildren(...answer.path.map((step) => stepRow(step, format)));
}

/**
 * Put a value into the page: formatted as text, unrounded as the element's value.
 * @template T
 * @param {string} name
 * @param {T} value
 * @param {(value: T) => string} format
 */
function put(name, value, format) {
  const element = /** @type {HTMLDataElement} */ (find(`[data-out="${name}"]`));
  element.value = String(value);
  element.textContent = format(value);
}

/** @param {import("../shared/api.js").TrackRecord | null} record null for closes that the user brought */
function showTrackRecord(record) {
  find("#track-record").hidden = record === null;
  if (record) {
    put("trackDays", record.days, String);
    put("held80", record.held["80"] / record.days, percent);
    put("held95", record.held["95"] / record.days, percent);
  }
}

/** Show the test results only if the same model, which is the default one, gave the answer. @param {Answer} answer */
function showComparison({ model_version, model_symbol }) {
  const comparison = document.getElementById("comparison"); // null if the page has no model, or its model lacks these figures
  if (comparison) {
    comparison.hidden = Boolean(model_symbol) || comparison.dataset.version !== model_version;
  }
}

/** @param {import("../shared/api.js").SeriesWarning[]} warnings */
function showWarnings(warnings) {
  const list = find("#warnings");
  list.hidden = warnings.length === 0;
  list.replaceChildren(...warnings.map((warning) => element("li", warning.text)));
}

/**
 * @param {Step} step
 * @param {(price: number) => string} format
 */
function stepRow(step, format) {
  const [low80, high80] = step.intervals["80"].map(format);
  const [low95, high95] = step.intervals["95"].map(format);
  const day = step.date ? `${step.step}: ${step.date}` : String(step.step);
  return tableRow(day, [format(step.price), `${low80} to ${high80}`, `${low95} to ${high95}`]);
}

/**
 * @param {string} name
 * @param {string} text
 */
function element(name, text) {
  const made = document.createElement(name);
  write(made, text);
  return made;
}

/** @param {string} selector */
function find(selector) {
  return /** @type {HTMLElement} */ (document.querySelector(selector));
}
