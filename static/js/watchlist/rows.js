/** Rows of the watchlist: waiting, failed, or with a forecast. */

import { age, dayName, dayText, decimals, percent, priceFormat } from "../shared/format.js";
import { write } from "../shared/prose.js";
import { nameOf } from "../shared/symbols.js";
import { t } from "../shared/texts.js";
import { sparkline } from "./sparkline.js";

/** @typedef {"80" | "95"} Level  percent */
/** @typedef {import("../shared/api.js").SymbolAnswer} Answer */
/** @typedef {{symbol: string, answer: Answer | null, error: string, row: HTMLTableRowElement}} Entry  without an answer and an error it waits */

const NONE = "–";

/** What the columns are sorted by; NaN: at the end. @type {Record<string, (entry: Entry, level: Level) => number | string>} */
export const SORT_KEYS = {
  symbol: ({ symbol }) => symbol,
  close: ({ answer }) => answer?.last_close ?? NaN,
  range: ({ answer }, level) => (answer ? widthOf(answer, level) : NaN),
  rise: ({ answer }) => answer?.probability_of_rise ?? NaN,
  width: ({ answer }, level) => (answer ? ratioOf(answer, level) : NaN),
  held: ({ answer }, level) => (answer?.track_record ? answer.track_record.held[level] / answer.track_record.days : NaN),
  change: ({ answer }) => (answer ? changeOf(answer) : NaN),
};

/** Width of the next interval, relative to the last close. @param {Answer} answer @param {Level} level */
function widthOf({ intervals, last_close }, level) {
  return (intervals[level][1] - intervals[level][0]) / last_close;
}

/** The same, divided by its median over the last days; NaN if that is unknown. @param {Answer} answer @param {Level} level */
function ratioOf(answer, level) {
  return widthOf(answer, level) / (answer.track_record?.median_width?.[level] ?? NaN);
}

/** Change over the closes of the small chart. @param {Answer} answer */
function changeOf({ closes, last_close }) {
  return last_close / closes[0] - 1;
}

/**
 * Write an entry into its row.
 * @param {Entry} entry
 * @param {Level} level
 * @param {{remove: () => void, retry: () => void}} actions
 */
export function fillRow(entry, level, { remove, retry }) {
  const { symbol, answer, error, row } = entry;
  const cells = answer ? answerCells(answer, level) : error ? [failure(error, symbol, retry)] : Object.keys(SORT_KEYS).slice(1).map(waiting);
  row.className = answer ? "" : error ? "failed" : "waiting";
  row.setAttribute("aria-busy", String(!answer && !error));
  row.replaceChildren(head(symbol), ...cells, cell("remove", [button(`✕`, t("Remove {symbol}", { symbol }), remove)]));
}

/** @param {string} symbol */
function head(symbol) {
  const made = document.createElement("th");
  made.scope = "row";
  made.setAttribute("role", "rowheader");
  const link = document.createElement("a");
  link.href = `?symbol=${encodeURIComponent(symbol)}`;
  link.textContent = symbol;
  link.title = t("The full forecast of {symbol}", { symbol });
  made.append(link, note(nameOf(symbol)));
  return made;
}

/** @param {Answer} answer @param {Level} level */
function answerCells(answer, level) {
  const { last_close, as_of, intervals, path, closes, probability_of_rise, track_record, warnings } = answer;
  const price = priceFormat(last_close);
  const [low, high] = intervals[level];
  const ratio = ratioOf(answer, level);
  const old = warnings.some(({ code }) => code === "old_data");
  const days = note(dayText(as_of), old ? t("{age} old", { age: age(new Date(as_of)) }) : "");
  days.classList.toggle("old", old);
  return [
    cell("close", [price(last_close), days]),
    cell("range", [t("{low} to {high}", { low: price(low), high: price(high) }), note(dayName(path[0].date))]),
    cell("rise", [probability_of_rise === undefined ? NONE : percent(probability_of_rise)]),
    cell("width", Number.isNaN(ratio) ? [NONE] : [t("{ratio} ×", { ratio: decimals(ratio, 2) }), note(t("the usual"))]),
    cell("held", track_record ? [percent(track_record.held[level] / track_record.days, 0), note(t("of {days} days", { days: track_record.days }))] : [NONE]),
    cell("change", [sparkline(closes, path, sentence(answer, price)), changeText(changeOf(answer))]),
  ];
}

/** The small chart in a sentence. @param {Answer} answer @param {(price: number) => string} price */
function sentence({ symbol, closes, last_close, path }, price) {
  const [low, high] = path[path.length - 1].intervals["80"].map(price);
  return t("{symbol}: {count} closes from {first} to {last}, then 80% intervals that reach {low} to {high} in {steps} trading days.", {
    symbol, count: closes.length, first: price(closes[0]), last: price(last_close), low, high, steps: path.length,
  });
}

/** @param {number} change */
function changeText(change) {
  const made = document.createElement("span");
  made.className = "change";
  made.textContent = `${change < 0 ? "−" : "+"}${percent(Math.abs(change))}`;
  return made;
}

/** @param {string} error @param {string} symbol @param {() => void} retry */
function failure(error, symbol, retry) {
  const words = document.createElement("span");
  write(words, error);
  const made = cell("failure", [words, " ", button(t("Retry"), t("Retry {symbol}", { symbol }), retry)]);
  made.colSpan = Object.keys(SORT_KEYS).length - 1;
  return made;
}

/** @param {string} column */
function waiting(column) {
  const bone = document.createElement("span");
  bone.className = "bone";
  return cell(column, [bone]);
}

/** @param {string} column @param {(Node | string)[]} content */
function cell(column, content) {
  const made = document.createElement("td");
  made.setAttribute("role", "cell");
  made.dataset.column = column;
  const label = document.querySelector(`#watch-table [data-sort="${column}"]`);
  made.dataset.label = label?.textContent?.trim() ?? "";
  made.append(...content);
  return made;
}

/** A second, smaller line. @param {string} text @param {string} [title] */
function note(text, title = "") {
  const made = document.createElement("small");
  made.textContent = text;
  made.title = title;
  return made;
}

/** @param {string} text @param {string} label @param {() => void} act */
function button(text, label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "quiet";
  made.textContent = text;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}
