/** The panel of an answer: its sentences, chart and table, the same as files, and the call that gave it. */

import { putIntoAddress } from "../shared/address.js";
import { startAbove } from "./above.js";
import { priceFormat, steps } from "../shared/format.js";
import { asCurl, asPython, copyText } from "./snippets.js";
import { createChart } from "../chart/chart.js";
import { asCsv, asPng, save } from "./downloads.js";
import { daysOf, fan } from "../chart/forecastChart.js";
import { startPeriods } from "../chart/periods.js";
import { write } from "../shared/prose.js";
import { showAnswer } from "./result.js";
import { byId } from "../shared/dom.js";

/** @typedef {import("../shared/api.js").Answer} Answer */

/**
 * @typedef {object} Output
 * @property {Answer} answer
 * @property {number[]} closes of the chart, oldest first
 * @property {string[]} dates of the closes; empty if unknown
 * @property {string} symbol empty if unknown
 * @property {import("./past.js").Past} [past] intervals of past days
 * @property {boolean} [isExample] shown without a request
 * @property {string} origin where the closes come from and how old they are, in a sentence; empty if unknown
 * @property {boolean} isOld whether the server warns that they are old
 * @property {import("../shared/api.js").SeriesWarning[]} [warnings] the warnings to show; by default all of the answer
 * @property {import("./snippets.js").Call} call
 */

const panel = byId("result");
const periods = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("#periods button")]);
const markPeriod = startPeriods(periods, bounds, (min, max) => chart.zoom(min, max));
const chart = createChart(byId("chart"), byId("readout"), markPeriod);
const languages = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("[data-language]")]);
let questions = 0;
let shown = /** @type {Output | null} */ (null);

/**
 * Count a question.
 * @returns {() => boolean} whether no other was asked since: a late answer to an older one is not shown
 */
export function newQuestion() {
  const mine = ++questions;
  return () => mine === questions;
}

/** @param {Output} output */
export function showOutput(output) {
  const { answer, closes, dates, symbol, past = new Map(), isExample = false, origin, isOld, warnings = answer.warnings } = output;
  shown = output;
  panel.hidden = false;
  byId("placeholder").hidden = true;
  byId("result-title").textContent = isExample ? `Example: forecast of ${symbol}` : symbol ? `Forecast of ${symbol}` : "Forecast";
  write(byId("origin"), origin);
  byId("origin").classList.toggle("notice", isOld);
  showAnswer({ ...answer, warnings });
  for (const button of periods) {
    button.hidden = bounds(button.dataset.period ?? "") === null;
  }
  chart.show(fan(closes, answer, dates, past));
  showCall();
  startAbove(output.call, priceFormat(answer.last_close)(answer.last_close).replaceAll(",", ""));
  if (!isExample) {
    putIntoAddress(symbol);
    showPanel();
  }
}

/** Bring the panel's top into sight, unless it is. */
function showPanel() {
  const { top } = panel.getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) {
    panel.scrollIntoView();
  }
}

/** The days of a period in what is shown. @param {string} period */
function bounds(period) {
  return shown && daysOf(period, shown.closes.length, shown.answer.path.length);
}

/** Show no answer, as the newest question has none, nor one to an older question that comes late. */
export function hideOutput() {
  newQuestion();
  panel.hidden = true;
  byId("placeholder").hidden = false;
}

/** The call in the language that is chosen. */
function showCall() {
  const python = byId("python").getAttribute("aria-pressed") === "true";
  if (shown) {
    byId("call").textContent = python ? asPython(shown.call) : asCurl(shown.call);
  }
  byId("copy-status").textContent = "";
}

/** Which forecast it is, as a file's name without its ending. @param {Output} output */
function fileName({ symbol, dates }) {
  return ["forecast", symbol, dates[dates.length - 1]].filter(Boolean).join("-");
}

/** Which forecast it is, in words. @param {Output} output */
function title({ answer, symbol, dates }) {
  const days = steps(answer.path.length, answer.warnings);
  const name = symbol ? `${symbol} to ${dates[dates.length - 1]}` : "Closes";
  return `${name}, forecast ${days} ahead with 80% and 95% intervals`;
}

for (const button of languages) {
  button.addEventListener("click", () => {
    for (const other of languages) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    showCall();
  });
}
byId("save-csv").addEventListener("click", () => {
  if (shown) {
    save(new Blob([asCsv(shown.answer.path)], { type: "text/csv" }), `${fileName(shown)}.csv`);
  }
});
byId("save-png").addEventListener("click", async () => {
  const picture = shown && (await asPng(chart.canvas(), title(shown)));
  if (shown && picture) {
    save(picture, `${fileName(shown)}.png`);
  }
});
byId("copy").addEventListener("click", async () => {
  const copied = await copyText(byId("call"));
  byId("copy-status").textContent = copied ? "Copied" : "Not copied: press Ctrl+C";
});
