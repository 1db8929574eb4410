/** The form for closes: pasted, from a file or the example -> checked -> POST /predict -> the panel of the answer. */

import { predict } from "../shared/api.js";
import { askServer } from "../shared/ask.js";
import { WINDOW, parseCloses } from "./closes.js";
import { showMessages, showProblems } from "../shared/messages.js";
import { ownOrigin } from "./origin.js";
import { hideOutput, showOutput } from "./output.js";
import { write } from "../shared/prose.js";
import { byId } from "../shared/dom.js";

const MAX_FILE_BYTES = 1_000_000; // 60 closes are some kB

const form = byId("form");
const field = byId("closes");
const horizon = byId("horizon");
const file = byId("file");
const example = JSON.parse(byId("example").textContent);
let waiting = false;

/** Tell what is wrong with the closes; a forecast of others would look like theirs. @param {string[]} problems */
function tell(problems) {
  showProblems(field, byId("closes-error"), problems);
  if (problems.length) {
    hideOutput();
  }
}

/** Which closes those in the field are. @param {string} text */
function tellOrigin(text) {
  write(byId("closes-origin"), text.trim());
}

/** @param {string[]} messages why a request failed */
function tellFailure(messages) {
  showMessages(byId("request-error"), messages);
}

function showHorizon() {
  const days = horizon.valueAsNumber;
  byId("horizon-text").textContent = days === 1 ? "1 trading day" : `${days} trading days`;
}

function loadExample() {
  field.value = example.closes.join(", ");
  tell([]);
  tellOrigin(`The last ${WINDOW} closes of ${example.symbol} in the embedded snapshot, to ${example.as_of}.`);
}

/** Put the chosen file's text where closes are pasted, and say what is wrong with it. */
async function loadFile() {
  const [chosen] = file.files;
  if (!chosen) {
    return;
  }
  const text = chosen.size > MAX_FILE_BYTES ? null : await chosen.text().catch(() => null);
  file.value = ""; // so that the same file can be chosen again, once it is fixed
  field.value = text ?? "";
  if (text === null) {
    tellOrigin("");
    tell([chosen.size > MAX_FILE_BYTES ? `${chosen.name} is larger than 1 MB.` : `${chosen.name} cannot be read.`]);
  } else {
    const { problems, note } = parseCloses(text);
    tellOrigin(`From the file ${chosen.name}. ${note}`);
    tell(problems);
  }
}

async function ask() {
  if (waiting) {
    return;
  }
  const { closes, dates, problems } = parseCloses(field.value);
  tell(problems);
  tellFailure([]);
  if (problems.length) {
    field.focus();
    return;
  }
  const body = { predict: closes, horizon: horizon.valueAsNumber };
  await askServer({
    send: (headers) => predict(form.action, body, headers),
    showBusy,
    again: ask,
    succeed: ({ answer }, headers) =>
      showOutput({ answer, closes, dates, symbol: "", ...ownOrigin(dates), call: { url: form.action, body, headers } }),
    fail: (reply) => tellFailure([reply.error, ...reply.details]),
  });
}

/** @param {boolean} busy */
function showBusy(busy) {
  waiting = busy;
  form.setAttribute("aria-busy", String(busy));
}

form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  ask();
});
byId("load-example").addEventListener("click", loadExample);
file.addEventListener("change", loadFile);
horizon.addEventListener("input", showHorizon);
field.addEventListener("input", () => {
  tell([]);
  tellOrigin(parseCloses(field.value).note);
});
showHorizon();
