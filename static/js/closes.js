/** Pasted text -> 60 closes, or sentences that say what is wrong and where. Nothing is guessed. */

export const WINDOW = 60;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DATE = /^\d{4}-\d{2}-\d{2}/;
const DIGITS_COMMA_DIGITS = /^\d+,\d+(\.\d+)?$/;
const DATE_LENGTH = 10;
const MAX_PROBLEMS = 3;

/** @typedef {{text: string, place: string}} Item  one pasted number and where it stands */

/**
 * @param {string} text
 * @returns {{closes: number[], dates: string[], problems: string[]}} closes, and their dates if they came with some, are right only
 *   where problems is empty
 */
export function parseCloses(text) {
  if (!text.trim()) {
    return { closes: [], dates: [], problems: [`Paste ${WINDOW} closes, or load the example.`] };
  }
  const rows = readRows(text);
  const { items, dates, problems } = rows.some((row) => DATE.test(row.cells[0])) ? readDatedRows(rows) : readList(text);
  if (!problems.length) {
    problems.push(...items.map(itemProblem).filter((problem) => problem !== null));
    if (items.length !== WINDOW) {
      problems.unshift(countProblem(items.length));
    }
  }
  return { closes: items.map((item) => Number(item.text)), dates, problems: shorten(problems) };
}

/**
 * The lines that are not blank, each cut into cells.
 * @param {string} text
 */
function readRows(text) {
  return text
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({ number: index + 1, cells: line.split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1")) }))
    .filter((row) => row.cells.some((cell) => cell));
}

/**
 * Lines of date and close, with or without a header.
 * @param {{number: number, cells: string[]}[]} rows
 * @returns {{items: Item[], dates: string[], problems: string[]}}
 */
function readDatedRows(rows) {
  const header = /\d/.test(rows[0].cells.join("")) ? 0 : 1;
  const problems = [];
  let previous = "";
  for (const { number, cells } of rows.slice(header)) {
    if (cells.length !== 2 || !DATE.test(cells[0])) {
      problems.push(`Line ${number} is not of the form date,close with a date like 2022-12-28.`);
    } else if (Number.isNaN(Date.parse(day(cells)))) {
      problems.push(`Line ${number}: ${day(cells)} is no date.`);
    } else if (cells[0] <= previous) {
      problems.push(`Line ${number}: ${cells[0]} does not come after ${previous}; the oldest close comes first.`);
    }
    previous = cells[0];
  }
  const items = rows.slice(header).map(({ number, cells }) => ({ text: cells[1] ?? "", place: `Line ${number}` }));
  return { items, dates: rows.slice(header).map(({ cells }) => day(cells)), problems };
}

/** The date of a line, without a time of day. @param {string[]} cells */
function day(cells) {
  return cells[0].slice(0, DATE_LENGTH);
}

/**
 * Numbers between separators.
 * @param {string} text
 * @returns {{items: Item[], dates: string[], problems: string[]}}
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
 * @returns {string | null} why it is no close
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
 * The first problems, and how many more there are.
 * @param {string[]} problems
 */
function shorten(problems) {
  const more = problems.length - MAX_PROBLEMS;
  return more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `And ${more} more.`] : problems;
}
