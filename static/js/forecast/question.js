/** The search field: a symbol, pasted closes or a price file -> a forecast. */

import { dropQuestion, hideOutput, isAsking } from "./output.js";
import { byId } from "../shared/dom.js";
import { mark, showMessages } from "../shared/messages.js";
import { askAboutCloses } from "./ownCloses.js";
import { hasFile, onFile, source, useFile } from "./priceFile.js";
import { addressOf } from "../shared/address.js";
import { faultOf, isSymbol, suggest, symbolOf, symbolsIn } from "../shared/symbols.js";
import { t } from "../shared/texts.js";
import { askAboutSymbol } from "./symbol.js";

/** @typedef {{text: string, column: string, stock: string, isAsked: boolean}} Question  of the field and the options of a file */

const SEPARATORS = /[\n,;|\t[{]/; // between closes; a symbol has none of them
const NUMBERS = /^[\d.,\s]*\d[\d.,\s]*$/;
const LINES = 5; // that the field shows at most
const KEPT = "question"; // in the session's storage
const NAMED = 5; // symbols in a link

const field = byId("question");
const options = byId("file-options");
const column = byId("file-column");
const stock = byId("file-symbol");
const chips = /** @type {HTMLElement} */ (byId("form").querySelector(".chips"));
const example = JSON.parse(byId("example").textContent);
let optionsUsed = false; // by an earlier request
let asked = ""; // the text of the question in progress

/**
 * Show what is wrong with the question.
 * @param {string[]} problems at most two lines
 * @param {string} [error] as the server said it, in English: it may name an option
 */
function tell(problems, error = "") {
  const wrong = /column/.test(error) && column.value ? column : /symbol/.test(error) && stock.value ? stock : field;
  showMessages(byId("question-error"), problems);
  for (const input of [column, stock, field]) {
    mark(input, problems.length > 0 && input === wrong);
  }
}

/**
 * Refuse the question; a forecast of another one would look like its answer.
 * @param {string[]} problems
 * @param {string} [error] as in `tell`
 */
function refuse(problems, error) {
  tell(problems, error);
  hideOutput();
}

/** Refuse several symbols, which the watchlist can show. @param {string[]} symbols @param {string} typed */
function offerList(symbols, typed) {
  const isList = SEPARATORS.test(typed) || typed === typed.toUpperCase();
  refuse([isList ? t("This field takes one symbol.") : faultOf(typed)]);
  const link = document.createElement("a");
  link.href = addressOf(symbols);
  link.className = "aside";
  const named = symbols.slice(0, NAMED).join(", ") + (symbols.length > NAMED ? ", …" : "");
  link.textContent = t("Open {symbols} in the watchlist", { symbols: named });
  byId("question-error").append(link);
}

/** Show which closes are used, and how they were read. @param {string[]} texts */
function tellReading(texts) {
  showMessages(byId("closes-origin"), texts);
}

/** Forget what was said and chosen for another question, and a file that is still being read. */
function takeOther() {
  if (hasFile()) {
    dropQuestion();
  }
  tell([]);
  tellReading([]);
  options.hidden = true;
  options.open = false;
  if (optionsUsed) {
    column.value = stock.value = "";
    optionsUsed = false;
  }
}

/** Write a question into the field. @param {string} text */
function fill(text) {
  takeOther();
  useFile(null);
  field.value = text;
  grow();
}

/** Ask for a symbol as if it were typed into the field. @param {string} symbol */
export function askFor(symbol) {
  fill(symbol);
  ask();
}

/** Keep the question for the next load of the page in this tab; a chosen file cannot be kept. */
export function keepQuestion() {
  const question = { text: field.value, column: column.value, stock: stock.value, isAsked: asked === field.value };
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(question));
  } catch {
    // storage is blocked or full
  }
}

/** Forget that the field's text was asked: another forecast is shown. */
export function forgetAsked() {
  asked = "";
}

/** Return the question that was kept, once; null if there is none. @returns {Question | null} */
export function keptQuestion() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    sessionStorage.removeItem(KEPT);
    return kept?.text ? kept : null;
  } catch {
    return null; // storage is blocked
  }
}

/** Put a question back into the field, and ask it again if it was asked. @param {Question} question */
export function restore(question) {
  fill(question.text);
  [column.value, stock.value] = [question.column, question.stock];
  if (question.isAsked) {
    ask();
  }
}

/** Show as many lines as the text has, up to a limit. */
function grow() {
  field.rows = Math.min(LINES, field.value.split("\n").length);
}

/** Return the symbol that a text names, by itself or by its company's name; null if it is not one. @param {string} text */
function symbolIn(text) {
  if (SEPARATORS.test(text) || NUMBERS.test(text) || (/\s/.test(text) && /\d/.test(text))) {
    return null;
  }
  return symbolOf(text);
}

/** Ask, unless the same question is in progress. */
function askOnce() {
  if (!isAsking() || asked !== field.value) {
    ask();
  }
}

/** Ask about a text that names a symbol or several. @param {string} typed @returns {boolean} whether it does */
function askAboutNames(typed) {
  const symbol = symbolIn(typed);
  const symbols = symbol !== null && isSymbol(symbol) ? [symbol] : symbolsIn(typed);
  if (symbols.length > 1) {
    offerList(symbols, typed);
  } else if (symbols.length === 1 || symbol !== null) {
    askAboutSymbol(symbols[0] ?? symbol, typed, { again: ask, refuse });
  } else {
    return false;
  }
  tellReading([]);
  return true;
}

function ask() {
  asked = field.value;
  suggest(chips, "");
  tell([]);
  const given = source();
  if (typeof given === "string") {
    refuse([given]);
    field.focus();
    return;
  }
  if (typeof given.content === "string" && askAboutNames(given.content.trim())) {
    return;
  }
  options.hidden = false;
  const chosen = { column: column.value.trim(), symbol: stock.value.trim() };
  optionsUsed ||= Boolean(chosen.column || chosen.symbol);
  askAboutCloses(given, chosen, {
    again: ask,
    succeed: tellReading,
    refuse(problems, error) {
      tellReading([]);
      options.open ||= /\b(symbol|column)=/.test(error);
      refuse(problems, error);
    },
  });
}

byId("form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  askOnce();
});
field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    askOnce();
  }
});
field.addEventListener("input", () => {
  takeOther();
  useFile(null);
  grow();
  suggest(chips, field.value);
});
for (const chip of /** @type {NodeListOf<HTMLElement>} */ (chips.querySelectorAll("[data-symbol]"))) {
  chip.addEventListener("click", () => askFor(chip.dataset.symbol ?? ""));
}
byId("load-example").addEventListener("click", () => askFor(example.closes.join(", ")));
onFile(
  byId("form"),
  (file) => {
    takeOther();
    useFile(file);
    ask();
  },
  (problem) => {
    takeOther();
    refuse([problem]);
  },
);
byId("remove-file").addEventListener("click", () => {
  fill("");
  field.focus();
});
