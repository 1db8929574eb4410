/** The form for closes: pasted, from a file or the example -> POST /predict as text/csv -> the panel of the answer. */

import { predictFile } from "../shared/api.js";
import { askServer } from "../shared/ask.js";
import { byId } from "../shared/dom.js";
import { mark, showMessages } from "../shared/messages.js";
import { ownOrigin } from "./origin.js";
import { hideOutput, showOutput } from "./output.js";
import { onFile, source, useFile } from "./priceFile.js";
import { sentences } from "./reading.js";

/** @typedef {import("../shared/api.js").FileAnswer} FileAnswer */
/** @typedef {import("./priceFile.js").Source} Source */

const SHOWN_CLOSES = 250; // in the chart
const WRONG_INPUT = [400, 413, 415, 422]; // statuses of errors about the closes

const form = byId("form");
const field = byId("closes");
const horizon = byId("horizon");
const options = byId("file-options");
const column = byId("file-column");
const stock = byId("file-symbol");
const example = JSON.parse(byId("example").textContent);
let optionsUsed = false; // by an earlier request

/** Show what is wrong with the closes; a forecast of others would look like theirs. @param {string[]} problems */
function tell(problems) {
  const [first = ""] = problems;
  const wrong = /column/.test(first) && column.value ? column : /symbol/.test(first) && stock.value ? stock : field;
  showMessages(byId("closes-error"), problems);
  for (const input of [column, stock, field]) {
    mark(input, problems.length > 0 && input === wrong);
  }
  if (problems.length) {
    hideOutput();
  }
}

/** Show which closes are used, and how they were read. @param {string[]} texts */
function tellReading(texts) {
  showMessages(byId("closes-origin"), texts);
}

function showHorizon() {
  const days = horizon.valueAsNumber;
  byId("horizon-text").textContent = days === 1 ? "1 trading day" : `${days} trading days`;
}

/** Forget what was said about other closes. */
function startOver() {
  tell([]);
  tellReading([]);
  showMessages(byId("request-error"), []);
}

/** Forget what was said and chosen for other closes. */
function takeOther() {
  startOver();
  if (optionsUsed) {
    column.value = stock.value = "";
    optionsUsed = false;
  }
}

function loadExample() {
  takeOther();
  useFile(null);
  field.value = example.closes.join(", ");
  tellReading([`The last ${example.closes.length} closes of ${example.symbol} in the embedded snapshot, to ${example.as_of}.`]);
}

async function ask() {
  startOver();
  const given = source();
  if (typeof given === "string") {
    tell([given]);
    field.focus();
    return;
  }
  const url = address();
  await askServer({
    send: (headers) => predictFile(url, given.content, headers),
    showBusy: (busy) => form.setAttribute("aria-busy", String(busy)),
    again: ask,
    succeed: ({ answer }, headers) => show(answer, given, url, headers),
    fail: refuse,
  });
}

/** The address of a forecast with the chosen options. */
function address() {
  const query = new URLSearchParams({ horizon: horizon.value, closes: String(SHOWN_CLOSES) });
  for (const [name, option] of [["column", column], ["symbol", stock]]) {
    const value = option.value.trim();
    if (value) {
      query.set(name, value);
      optionsUsed = true;
    }
  }
  return `${form.action}?${query}`;
}

/** @param {FileAnswer} answer @param {Source} given @param {string} url @param {string[]} headers */
function show(answer, given, url, headers) {
  const { closes, dates, used, columns } = answer;
  const { notes, ...told } = ownOrigin(answer);
  tellReading([...sentences(answer, given.name), ...notes]);
  const isList = !given.name && !columns.open; // the call needs no file
  const symbol = new URL(url, location.href).searchParams.get("symbol");
  const body = isList ? { predict: closes.slice(-used), horizon: horizon.valueAsNumber, ...(symbol && { symbol }) } : undefined;
  const call = { url: isList ? form.action : url, headers, body, content: given.content, file: given.name || "closes.csv" };
  showOutput({ answer, closes, dates, symbol: "", ...told, call });
}

/** @param {import("../shared/api.js").Failure} failure */
function refuse({ status, error, details }) {
  const problems = [error, ...details];
  if (WRONG_INPUT.includes(status)) {
    tell(problems);
    options.open ||= /\b(symbol|column)=/.test(error); // the error names an option
  } else {
    showMessages(byId("request-error"), problems);
  }
}

form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  if (form.getAttribute("aria-busy") !== "true") {
    ask();
  }
});
byId("load-example").addEventListener("click", loadExample);
onFile(
  byId("own-closes"),
  (file) => {
    takeOther();
    useFile(file);
    ask();
  },
  (problem) => {
    takeOther();
    tell([problem]);
  },
);
byId("remove-file").addEventListener("click", () => {
  takeOther();
  useFile(null);
  field.focus();
});
horizon.addEventListener("input", showHorizon);
field.addEventListener("input", () => {
  takeOther();
  useFile(null);
});
showHorizon();
