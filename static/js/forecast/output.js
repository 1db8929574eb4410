/** The panel of an answer: its sentences, chart and table, the same as files, and the call that gave it. */

import { putIntoAddress } from "../shared/address.js";
import { chosen, onChoice } from "../shared/choice.js";
import { aboveOn, drawAbove, startAbove } from "./above.js";
import { dayText, steps } from "../shared/format.js";
import { asCurl, asPython, copyText } from "./snippets.js";
import { createChart } from "../chart/chart.js";
import { asCsv, asPng, save } from "./downloads.js";
import { daysOf, fan } from "../chart/forecastChart.js";
import { startPeriods } from "../chart/periods.js";
import { write } from "../shared/prose.js";
import { onLevel } from "./levels.js";
import { headline, showAnswer, showRange } from "./result.js";
import { byId } from "../shared/dom.js";
import { t } from "../shared/texts.js";

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

const OPENING_PERIOD = "60"; // days

const panel = byId("result");
const periods = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("#periods button")]);
const markPeriod = startPeriods(periods, bounds, (min, max) => chart.zoom(min, max));
const chart = createChart(byId("chart"), byId("readout"), markPeriod, drawAbove);
const languages = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("[data-language]")]);
const outputs = /** @type {Map<string, Output>} */ (new Map()); // what was shown, by its id in the history
const OPENING_TITLE = document.title;
let questions = 0;
let search = location.search; // that of what is shown
let shown = /** @type {Output | null} */ (null);

/**
 * Count a question.
 * @returns {() => boolean} whether no other was asked since: a late answer to an older one is not shown
 */
export function newQuestion() {
  const mine = ++questions;
  return () => mine === questions;
}

/** Say what is in progress; meanwhile the forecast before is dimmed. @param {string} text empty: nothing */
export function showProgress(text) {
  byId("progress").textContent = text;
  for (const place of [panel, byId("placeholder")]) {
    place.setAttribute("aria-busy", String(text !== ""));
  }
  panel.inert = text !== ""; // so that no forecast is saved or copied in place of the one that was asked for
}

/** Drop the question in progress: its answer will not be shown. */
export function dropQuestion() {
  newQuestion();
  showProgress("");
}

/** Whether a question is in progress. */
export function isAsking() {
  return byId("progress").textContent !== "";
}

/** Show an answer, and make it an entry in the history. @param {Output} output */
export function showOutput(output) {
  draw(output);
  if (!output.isExample) {
    const id = `${performance.timeOrigin}-${outputs.size}`; // of this load of the page
    outputs.set(id, output);
    putIntoAddress(output.symbol, id);
    search = location.search;
    showPanel();
  }
}

/**
 * Show on Back and Forward what was shown at that address.
 * @param {() => void} open shows an address whose output is not known
 * @param {() => void} leave called first
 */
export function onReturn(open, leave) {
  addEventListener("popstate", ({ state }) => {
    if (search === location.search) {
      return; // only the tab changed
    }
    search = location.search;
    leave();
    const output = outputs.get(state);
    if (output) {
      newQuestion();
      draw(output);
    } else {
      open();
    }
  });
}

/** @param {Output} output */
function draw(output) {
  const { answer, closes, dates, symbol, past = new Map(), isExample = false, origin, isOld, warnings = answer.warnings } = output;
  shown = output;
  showProgress("");
  panel.hidden = false;
  byId("placeholder").hidden = true;
  byId("call-note").hidden = !isExample;
  byId("result-title").textContent = isExample ? t("{symbol}, an example", { symbol }) : symbol || t("Your closes");
  write(byId("origin"), origin);
  byId("origin").classList.toggle("old", isOld);
  showAnswer({ ...answer, warnings }, symbol);
  showTitle();
  for (const button of periods) {
    button.hidden = bounds(button.dataset.period ?? "") === null;
  }
  for (const key of /** @type {NodeListOf<HTMLElement>} */ (panel.querySelectorAll(".key[data-past]"))) {
    key.hidden = !dates.some((date) => past.has(date)); // no close can be outside an interval
  }
  startAbove(output.call, answer.last_close);
  chart.show(fan(closes, answer, dates, past, aboveOn));
  chart.zoom(...(bounds(OPENING_PERIOD) ?? bounds("") ?? [0, 1]));
  showCall();
}

/** Name the forecast in the page's title. */
function showTitle() {
  const { answer, symbol, isExample } = /** @type {Output} */ (shown);
  document.title = isExample ? OPENING_TITLE : headline(answer, symbol || t("Your closes"));
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
  dropQuestion();
  panel.hidden = true;
  byId("placeholder").hidden = false;
  document.title = OPENING_TITLE;
}

/** The call in the language that is chosen. */
function showCall() {
  if (shown) {
    byId("call").textContent = chosen(languages)?.id === "python" ? asPython(shown.call) : asCurl(shown.call);
  }
  byId("copy-status").textContent = "";
}

/** Which forecast it is, as a file's name without its ending. @param {Output} output */
function fileName({ symbol, dates }) {
  return ["forecast", symbol, dates[dates.length - 1]].filter(Boolean).join("-");
}

/** Which forecast it is, in words. @param {Output} output */
function title({ answer, symbol, dates }) {
  const ahead = steps(answer.path.length, answer.warnings);
  return symbol
    ? t("{symbol} to {day}, forecast {steps} ahead with 50%, 80% and 95% intervals", { symbol, day: dayText(dates[dates.length - 1]), steps: ahead })
    : t("Closes, forecast {steps} ahead with 50%, 80% and 95% intervals", { steps: ahead });
}

onLevel(() => {
  if (shown) {
    showRange(shown.answer);
    showTitle();
  }
});
onChoice(languages, showCall);
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
  byId("copy-status").textContent = copied ? t("Copied") : t("Not copied: press Ctrl+C");
});
