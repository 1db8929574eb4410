/** The tab Forecast: form -> checked closes -> POST /predict -> sentences, chart, table and curl command. */

import { predict } from "./api.js";
import { askForKey, keepKey, keyHeader } from "./apiKey.js";
import { createChart } from "./chart.js";
import { WINDOW, parseCloses } from "./closes.js";
import { copyText, curlCommand } from "./curl.js";
import { fan } from "./fan.js";
import { showAnswer } from "./result.js";

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

const form = byId("form");
const field = byId("closes");
const horizon = byId("horizon");
const result = byId("result");
const chart = createChart(byId("chart"), byId("readout"));
const example = JSON.parse(byId("example").textContent);
let waiting = false;

/** Show what is wrong with the pasted closes, at their field. @param {string[]} problems */
function showProblems(problems) {
  byId("closes-error").replaceChildren(...problems.map(asLine));
  if (problems.length) {
    field.setAttribute("aria-invalid", "true");
  } else {
    field.removeAttribute("aria-invalid");
  }
}

/** Show why a request failed. @param {string[]} messages */
function showRequestError(messages) {
  byId("request-error").replaceChildren(...messages.map(asLine));
}

/** A message on a line of its own. @param {string} text */
function asLine(text) {
  const line = document.createElement("span");
  line.textContent = text;
  return line;
}

/** @param {boolean} shown */
function showResult(shown) {
  result.hidden = !shown;
  byId("placeholder").hidden = shown;
}

function showHorizon() {
  const days = horizon.valueAsNumber;
  byId("horizon-text").textContent = days === 1 ? "1 trading day" : `${days} trading days`;
}

function loadExample() {
  field.value = example.closes.join(", ");
  showProblems([]);
  byId("closes-origin").textContent = `The last ${WINDOW} closes of ${example.symbol} in the embedded snapshot, to ${example.as_of}.`;
}

/** @param {SubmitEvent} event */
async function submit(event) {
  event.preventDefault();
  if (waiting) {
    return;
  }
  const { closes, problems } = parseCloses(field.value);
  showProblems(problems);
  showRequestError([]);
  if (problems.length) {
    field.focus();
    return;
  }
  const body = { predict: closes, horizon: horizon.valueAsNumber };
  waiting = true;
  form.setAttribute("aria-busy", "true");
  const headers = keyHeader();
  const reply = await predict(form.action, body, headers);
  form.removeAttribute("aria-busy");
  waiting = false;
  showResult(reply.ok);
  if (!reply.ok && reply.status === 401) {
    askForKey();
    return;
  }
  if (!reply.ok) {
    showRequestError([reply.error, ...reply.details]);
    return;
  }
  keepKey();
  showAnswer(reply.answer);
  chart.show(fan(closes, reply.answer.path));
  byId("curl").textContent = curlCommand(form.action, body, Object.keys(headers).map((name) => `${name}: YOUR-API-KEY`));
  byId("copy-status").textContent = "";
  result.scrollIntoView({ block: "nearest" });
}

form.addEventListener("submit", submit);
byId("load-example").addEventListener("click", loadExample);
horizon.addEventListener("input", showHorizon);
field.addEventListener("input", () => {
  showProblems([]);
  byId("closes-origin").textContent = "";
});
byId("copy").addEventListener("click", async () => {
  const copied = await copyText(byId("curl"));
  byId("copy-status").textContent = copied ? "Copied" : "Not copied: press Ctrl+C";
});
showHorizon();
