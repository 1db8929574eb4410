/** Pasted text -> 60 closes, or sentences that say what is wrong and where. Nothing is guessed. */

import { areDated, readDatedRows, readRows } from "./datedRows.js";

export const WINDOW = 60;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DIGITS_COMMA_DIGITS = /^\d+,\d+(\.\d+)?$/;
const JSON_START = /^\s*[[{]/;
const MAX_PROBLEMS = 3;

/** @typedef {import("./datedRows.js").Item} Item */
/** @typedef {import("./datedRows.js").Found} Found */

/**
 * @param {string} text
 * @returns {{closes: number[], dates: string[], problems: string[], note: string}} closes, their dates if they came with some, and which
 *   they are if there were more, are right only where problems is empty
 */
export function parseCloses(text) {
  if (!text.trim()) {
    return { closes: [], dates: [], problems: [`Paste ${WINDOW} closes, or load the example.`], note: "" };
  }
  const { items, dates, problems: misread } = read(text);
  const problems = misread.length ? misread : items.map(itemProblem).filter((problem) => problem !== null);
  if (!misread.length && (items.length < WINDOW || (items.length > WINDOW && !dates.length))) {
    problems.unshift(countProblem(items.length));
  }
  const used = dates.slice(-WINDOW);
  return {
    closes: items.slice(-WINDOW).map((item) => Number(item.text)),
    dates: used,
    problems: shorten(problems),
    note: items.length > WINDOW && !problems.length ? newestNote(items.length, used) : "",
  };
}

/** @param {string} text @returns {Found} */
function read(text) {
  if (JSON_START.test(text)) {
    return readJson(text);
  }
  const rows = readRows(text);
  return areDated(rows) ? readDatedRows(rows) : readList(text);
}

/**
 * A list of numbers in JSON, or the body of a call to /predict.
 * @param {string} text
 * @returns {Found}
 */
function readJson(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return { items: [], dates: [], problems: ["The text begins as JSON does, but is not sound JSON."] };
  }
  const list = Array.isArray(found) ? found : found.predict;
  if (!Array.isArray(list)) {
    return { items: [], dates: [], problems: ["The JSON is neither a list of closes nor has one as “predict”."] };
  }
  return { items: list.map((value, index) => ({ text: asText(value), place: `Item ${index + 1}` })), dates: [], problems: [] };
}

/** A value of a JSON list, as messages show it. @param {unknown} value */
function asText(value) {
  if (Array.isArray(value)) {
    return "[…]";
  }
  return value !== null && typeof value === "object" ? "{…}" : JSON.stringify(value);
}

/**
 * Numbers between separators.
 * @param {string} text
 * @returns {Found}
 */
function readList(text) {
  const groups = text.split(/[\s;]+/).filter(Boolean);
  if (groups.length > 1 && groups.every((group) => DIGITS_COMMA_DIGITS.test(group))) {
    const problem = `“${groups[0]}” may be one number or two. Write the decimal mark as a point, thousands without a separator.`;
    return { items: [], dates: [], problems: [problem] };
  }
  const items = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map((item, index) => ({ text: item, place: `Item ${index + 1}` }));
  return { items, dates: [], problems: [] };
}

/**
 * @param {Item} item
 * @returns {string | null} why it is not a close
 */
function itemProblem({ text, place }) {
  const shown = text.length > 20 ? `${text.slice(0, 20)}…` : text;
  if (!NUMBER.test(text) || !Number.isFinite(Number(text))) {
    return `${place}, “${shown}”, is no number.`;
  }
  return Number(text) > 0 ? null : `${place}, “${shown}”, is not above zero.`;
}

/** @param {number} count how many were found, not WINDOW */
function countProblem(count) {
  const found = `Found ${count} ${count === 1 ? "close" : "closes"}; a forecast takes ${WINDOW}`;
  return count < WINDOW ? `${found}: ${WINDOW - count} missing.` : `${found}: keep the newest ${WINDOW}.`;
}

/**
 * Which closes are used where there are more.
 * @param {number} count how many were found
 * @param {string[]} dates of those that are used
 */
function newestNote(count, dates) {
  return `The newest ${WINDOW} of ${count.toLocaleString("en")} closes are used, from ${dates[0]} to ${dates[WINDOW - 1]}.`;
}

/**
 * The first problems, and how many more there are.
 * @param {string[]} problems
 */
function shorten(problems) {
  const more = problems.length - MAX_PROBLEMS;
  return more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `And ${more} more.`] : problems;
}
