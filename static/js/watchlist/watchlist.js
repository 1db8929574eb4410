/** The Watchlist tab: several symbols with their forecasts. It is loaded, and its forecasts are requested, when the tab is first shown. */

import { addressOf } from "../shared/address.js";
import { forecastSymbol } from "../shared/api.js";
import { askForKey, keepKey, keyHeader } from "../shared/apiKey.js";
import { chosen, onChoice } from "../shared/choice.js";
import { byId } from "../shared/dom.js";
import { retryAdvice, showProblems } from "../shared/messages.js";
import { told } from "../shared/sentences.js";
import { faultOf, isSymbol, suggest, symbolOf } from "../shared/symbols.js";
import { nt, t } from "../shared/texts.js";
import { keepList, keptList, listInAddress, MOST, putListIntoAddress } from "./lists.js";
import { fillRow, SORT_KEYS } from "./rows.js";
import { startSorting } from "./sorting.js";

/** @typedef {import("./rows.js").Entry} Entry */
/** @typedef {import("./rows.js").Level} Level */

const AT_ONCE = 3; // requests
const QUERY = "horizon=20&closes=60&levels=80,95";
const FIRST = ["MSFT", "AAPL", "KO", "JNJ", "XOM"]; // the list of a reader who has none yet

const table = byId("watch-table");
const field = byId("watch-field");
const chips = byId("watch-chips");
const levels = /** @type {HTMLButtonElement[]} */ ([...byId("watch-levels").querySelectorAll("button")]);
const sort = startSorting(table, byId("watch-sorted"), order);
const entries = /** @type {Map<string, Entry>} */ (new Map());
let isShared = false; // the list came with the address and is not kept
let level = /** @type {Level} */ ("80");
let asking = 0;
let isStarted = false;

/** Show the list, the first time that the tab is shown. */
export function showWatchlist() {
  if (isStarted) {
    return;
  }
  isStarted = true;
  byId("watchlist-list").hidden = false; // until now its buttons did nothing
  const given = listInAddress();
  const own = keptList();
  isShared = given !== null && String(given.symbols) !== String(own);
  if (given && !isShared) {
    putListIntoAddress(null);
  }
  use(given?.symbols ?? own ?? FIRST);
  tell(given?.left ? leftOut(given.left) : "");
}

/** Say how many entries of the address are not in the list. @param {number} count */
function leftOut(count) {
  return nt(
    "{count} entry of the address is left out: it is not a symbol, or the list has {most} symbols already.",
    "{count} entries of the address are left out: they are not symbols, or the list has {most} symbols already.",
    count,
    { most: MOST },
  );
}

/** Show a list. @param {string[]} symbols */
function use(symbols) {
  entries.clear();
  for (const symbol of symbols) {
    addEntry(symbol);
  }
  order();
  load();
}

/** @param {string} symbol */
function addEntry(symbol) {
  const row = document.createElement("tr");
  row.setAttribute("role", "row");
  const entry = { symbol, answer: null, error: "", row };
  entries.set(symbol, entry);
  fill(entry);
}

/** @param {Entry} entry */
function fill(entry) {
  const hadFocus = entry.row.contains(document.activeElement);
  fillRow(entry, level, { remove: () => remove(entry), retry: () => retry([entry]) });
  if (hadFocus) {
    entry.row.querySelector("a")?.focus();
  }
}

/** Put the rows into their order, and show what belongs to a list of this length. */
function order() {
  const sorted = sort([...entries.values()], (column, entry) => SORT_KEYS[column](entry, level));
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  table.querySelector("tbody").replaceChildren(...sorted.map(({ row }) => row));
  if (focused && table.contains(focused)) {
    focused.focus();
  }
  const failed = sorted.filter(({ error }) => error).length;
  table.hidden = entries.size === 0;
  byId("watch-empty").hidden = entries.size > 0;
  byId("watch-shared").hidden = !isShared;
  byId("watch-copy").hidden = entries.size === 0;
  byId("watch-retry").hidden = failed < 2;
}

/** Request the forecasts that are missing, a few at a time. */
function load() {
  const waiting = [...entries.values()].filter((entry) => !entry.answer && !entry.error && !entry.row.dataset.asked);
  for (const entry of waiting.slice(0, AT_ONCE - asking)) {
    ask(entry);
  }
  byId("watch-progress").textContent = asking ? t("Loading …") : "";
}

/** @param {Entry} entry */
async function ask(entry) {
  asking++;
  entry.row.dataset.asked = "true";
  const url = `${byId("form").dataset.forecast}/${encodeURIComponent(entry.symbol)}?${QUERY}`;
  const reply = await forecastSymbol(url, keyHeader());
  asking--;
  delete entry.row.dataset.asked;
  if (reply.ok) {
    keepKey();
    entry.answer = reply.answer;
  } else if (reply.status === 401) {
    refuse(t("The forecast needs the API key."));
    return;
  } else {
    entry.error = [told(reply.error), retryAdvice(reply.retryAfter)].filter(Boolean).join(" ");
  }
  if (entries.get(entry.symbol) === entry) {
    fill(entry);
    order();
  }
  load();
}

/** Stop, and ask for the key; with it, the rest is requested. @param {string} error of the rows that have no forecast */
function refuse(error) {
  const open = [...entries.values()].filter(({ answer }) => !answer);
  for (const entry of open) {
    entry.error = error;
    fill(entry);
  }
  order();
  load();
  askForKey(() => retry([...entries.values()].filter((entry) => entry.error)));
}

/** @param {Entry[]} failed */
function retry(failed) {
  for (const entry of failed) {
    entry.error = "";
    fill(entry);
  }
  order();
  load();
}

/** Add what the field names. @param {string} text */
function add(text) {
  const symbol = symbolOf(text);
  const problem = !text.trim()
    ? t("Write a symbol or a company.")
    : !isSymbol(symbol)
      ? faultOf(text)
      : entries.has(symbol)
        ? t("{symbol} is in the list.", { symbol })
        : entries.size >= MOST
          ? t("A list has at most {most} symbols. Remove one first.", { most: MOST })
          : "";
  showProblems(field, byId("watch-error"), problem ? [problem] : []);
  if (!problem) {
    field.value = "";
    suggest(chips, "");
    addEntry(symbol);
    changed(t("{symbol} is added.", { symbol }));
    load();
  }
  field.focus();
}

/** @param {Entry} entry */
function remove(entry) {
  const next = entry.row.nextElementSibling ?? entry.row.previousElementSibling;
  entries.delete(entry.symbol);
  changed(t("{symbol} is removed.", { symbol: entry.symbol }));
  /** @type {HTMLElement} */ (next?.querySelector('[data-column="remove"] button') ?? field).focus();
}

/** Keep a changed list: the reader's own in the browser, another one in the address. @param {string} message */
function changed(message) {
  const symbols = [...entries.keys()];
  order();
  if (isShared) {
    putListIntoAddress(symbols);
    tell(message);
  } else {
    tell(keepList(symbols) ? message : t("{message} This browser keeps no list: it is lost when the page is closed.", { message }));
  }
}

/** @param {string} message */
function tell(message) {
  byId("watch-status").textContent = message;
}

byId("watch-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  add(field.value);
});
field.addEventListener("input", () => {
  showProblems(field, byId("watch-error"), []);
  suggest(chips, field.value);
});
for (const chip of /** @type {NodeListOf<HTMLElement>} */ (chips.querySelectorAll("[data-symbol]"))) {
  chip.addEventListener("click", () => add(chip.dataset.symbol ?? ""));
}
onChoice(levels, () => {
  level = /** @type {Level} */ (chosen(levels)?.dataset.level);
  for (const entry of entries.values()) {
    fill(entry);
  }
  order();
});
byId("watch-keep").addEventListener("click", () => {
  isShared = false;
  putListIntoAddress(null);
  changed(t("This list is now yours."));
  field.focus();
});
byId("watch-own").addEventListener("click", () => {
  isShared = false;
  putListIntoAddress(null);
  use(keptList() ?? FIRST);
  tell(t("This is your own list."));
  field.focus();
});
byId("watch-copy").addEventListener("click", async () => {
  const address = addressOf([...entries.keys()]);
  const copied = await navigator.clipboard?.writeText(address).then(() => true, () => false); // plain HTTP has no clipboard
  tell(copied ? t("The link is copied.") : address);
});
byId("watch-retry").addEventListener("click", () => retry([...entries.values()].filter(({ error }) => error)));
