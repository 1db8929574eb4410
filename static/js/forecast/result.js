/** Shows an answer of /predict as sentences, warnings and a table. */

import { dayName, dayText, daysAhead, duration, percent, priceFormat, steps } from "../shared/format.js";
import { chosenLevel, times } from "./levels.js";
import { write } from "../shared/prose.js";
import { told } from "../shared/sentences.js";
import { tableRow } from "../shared/table.js";
import { t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").Answer} Answer */
/** @typedef {import("../shared/api.js").Step} Step */

/** @param {Answer} answer @param {string} symbol empty if unknown */
export function showAnswer(answer, symbol) {
  const format = priceFormat(answer.last_close);
  const final = answer.path[answer.path.length - 1];
  put("nextDay", answer.path[0].date, dayName);
  put("price", answer.predicted_price, format);
  put("horizon", final.step, (step) => steps(step, answer.warnings));
  put("finalDate", final.date ?? "", (date) => (date ? ` (${dayText(date)})` : ""));
  put("version", answer.model_version, String);
  put("modelSymbol", answer.model_symbol ?? "", String);
  find("#own-model").hidden = !answer.model_symbol;
  put("time", answer.response_time_sec ?? 0, duration);
  find("#answered").hidden = answer.response_time_sec === undefined;
  find("#final-close").hidden = final.step === 1;
  showRange(answer);
  showTrackRecord(answer.track_record ?? null, symbol);
  showWarnings(answer.warnings);
  find("#table tbody").replaceChildren(...answer.path.map((step) => stepRow(step, format)));
}

/** Show the ranges of the next and the last close at the chosen level. @param {Answer} answer */
export function showRange(answer) {
  const level = chosenLevel();
  const format = priceFormat(answer.last_close);
  const final = answer.path[answer.path.length - 1];
  const ranges = { low: answer.intervals[level][0], high: answer.intervals[level][1] };
  const last = { finalLow: final.intervals[level][0], finalHigh: final.intervals[level][1] };
  for (const [name, price] of Object.entries({ ...ranges, ...last })) {
    put(name, price, format);
  }
  put("times", times(level), String);
  put("finalTimes", times(level), String);
}

/**
 * The next close's range at the chosen level, for the title of the page.
 * @param {Answer} answer
 * @param {string} name of what is forecast
 */
export function headline(answer, name) {
  const format = priceFormat(answer.last_close);
  const [low, high] = answer.intervals[chosenLevel()].map(format);
  const { date } = answer.path[0];
  const ahead = date ? daysAhead(date) : NaN;
  const values = { name, low, high, day: date ? dayText(date) : "" };
  if (!date) {
    return t("{name}: {low} to {high} next", values);
  }
  if (ahead === 0) {
    return t("{name}: {low} to {high} today", values);
  }
  return ahead === 1 ? t("{name}: {low} to {high} tomorrow", values) : t("{name}: {low} to {high} on {day}", values);
}

/**
 * Put a value into the page: formatted as text, unrounded as the element's value.
 * @template T
 * @param {string} name
 * @param {T} value
 * @param {(value: T) => string} format
 */
function put(name, value, format) {
  const target = find(`[data-out="${name}"]`);
  if (target instanceof HTMLDataElement) {
    target.value = String(value);
  }
  target.textContent = format(value);
}

/**
 * @param {import("../shared/api.js").TrackRecord | null} record null for closes that the user brought
 * @param {string} symbol
 */
function showTrackRecord(record, symbol) {
  find("#track-record").hidden = record === null;
  if (record) {
    put("trackDays", record.days, String);
    put("trackSymbol", symbol, String);
    put("held80", record.held["80"] / record.days, percent);
    put("held95", record.held["95"] / record.days, percent);
  }
}

/** @param {import("../shared/api.js").SeriesWarning[]} warnings */
function showWarnings(warnings) {
  const list = find("#warnings");
  list.hidden = warnings.length === 0;
  list.replaceChildren(...warnings.map((warning) => element("li", told(warning.text))));
}

/**
 * @param {Step} step
 * @param {(price: number) => string} format
 */
function stepRow(step, format) {
  const day = step.date ? `${step.step}: ${dayText(step.date)}` : String(step.step);
  const ranges = (/** @type {const} */ (["50", "80", "95"])).map((level) => {
    const [low, high] = step.intervals[level].map(format);
    return t("{low} to {high}", { low, high });
  });
  return tableRow(day, [format(step.price), ...ranges]);
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
