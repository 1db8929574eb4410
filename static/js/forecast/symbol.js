/** The form for a symbol: it gets /forecast/<symbol> and shows the answer. */

import { forecastSymbol } from "../shared/api.js";
import { askServer } from "../shared/ask.js";
import { showProblems } from "../shared/messages.js";
import { originOf } from "./origin.js";
import { fetchPast } from "./past.js";
import { hideOutput, showOutput } from "./output.js";
import { byId } from "../shared/dom.js";

const SYMBOL = /^[A-Z0-9^=&_-][A-Z0-9.^=&_-]{0,31}$/i; // as on the server; ".." would lead to another address

const form = byId("symbol-form");
const field = byId("symbol");
let waiting = false;

/** @param {string[]} problems */
function tell(problems) {
  showProblems(field, byId("symbol-error"), problems);
}

/** @param {string} text empty if nothing is in progress */
function showProgress(text) {
  waiting = text !== "";
  byId("symbol-progress").textContent = text;
  form.setAttribute("aria-busy", String(waiting));
}

/** Submit a symbol as if it were typed into the field. @param {string} symbol */
export function askFor(symbol) {
  field.value = symbol;
  ask();
}

async function ask() {
  if (waiting) {
    return;
  }
  const symbol = field.value.trim().toUpperCase();
  const problem = symbolProblem(symbol);
  tell(problem ? [problem] : []);
  if (problem) {
    hideOutput();
    field.focus();
    return;
  }
  const url = `${form.action}/${encodeURIComponent(symbol)}?horizon=20&closes=250`;
  await askServer({
    async send(headers) {
      const [reply, past] = await Promise.all([forecastSymbol(url, headers), fetchPast(form.dataset.backtest, symbol, headers)]);
      return reply.ok ? { ...reply, past } : reply;
    },
    showBusy: (busy) => showProgress(busy ? `Asking for the newest closes of ${symbol} …` : ""),
    again: ask,
    succeed({ answer, past }, headers) {
      const { closes, dates, symbol } = answer;
      showOutput({ answer, closes, dates, symbol, past, ...originOf(answer), call: { url, headers } });
    },
    fail: (reply) => tell(failure(reply)),
  });
}

/** @param {string} symbol */
function symbolProblem(symbol) {
  if (!symbol) {
    return "Write a symbol, or choose one from the list.";
  }
  return SYMBOL.test(symbol) ? "" : `“${symbol}” is not a symbol: 1 to 32 letters, digits and . ^ = - & _ (not a dot first).`;
}

/** Return why there is no forecast, and when to try again. @param {import("../shared/api.js").Failure} failure */
function failure({ error, details, retryAfter }) {
  return [error, ...details, ...(retryAfter ? [`Try again in ${retryAfter} seconds.`] : [])];
}

form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  ask();
});
field.addEventListener("input", () => tell([]));
