/** The panel of an answer: its sentences, chart and table, and the call that gave it. */

import { asCurl, copyText } from "./calls.js";
import { createChart } from "./chart.js";
import { fan } from "./fan.js";
import { showAnswer } from "./result.js";

/** @typedef {import("./api.js").Answer} Answer */

/**
 * @typedef {object} Output
 * @property {Answer} answer
 * @property {number[]} closes that the chart shows, oldest first
 * @property {string[]} dates of the closes; none where they are not known
 * @property {string} symbol empty where it is not known
 * @property {string} origin where the closes come from, in a sentence; empty where the user brought them
 * @property {import("./calls.js").Call} call
 */

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

const panel = byId("result");
const chart = createChart(byId("chart"), byId("readout"));
let questions = 0;

/**
 * Count a question.
 * @returns {() => boolean} whether no other was asked since: a late answer to an older one is not shown
 */
export function newQuestion() {
  const mine = ++questions;
  return () => mine === questions;
}

/** @param {Output} output */
export function showOutput({ answer, closes, dates, symbol, origin, call }) {
  panel.hidden = false;
  byId("placeholder").hidden = true;
  byId("result-title").textContent = symbol ? `Forecast of ${symbol}` : "Forecast";
  byId("origin").textContent = origin;
  showAnswer(answer);
  chart.show(fan(closes, answer.path, dates));
  byId("curl").textContent = asCurl(call);
  byId("copy-status").textContent = "";
  panel.scrollIntoView({ block: "nearest" });
}

/** Show no answer, as the newest question has none. */
export function hideOutput() {
  panel.hidden = true;
  byId("placeholder").hidden = false;
}

byId("copy").addEventListener("click", async () => {
  const copied = await copyText(byId("curl"));
  byId("copy-status").textContent = copied ? "Copied" : "Not copied: press Ctrl+C";
});
