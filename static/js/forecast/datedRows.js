/** Reads closes from rows with dates, oldest first. A header names the columns, as for modelTrain.py --csv; without one they are date, close. */

const DATE = /^\d{4}-\d{2}-\d{2}(?=[T ]|$)/; // a time of day may follow
const NUMBER_FIRST = /^\W*\d/;
const DATE_COLUMN = "date";
const CLOSE_COLUMNS = ["adj close", "adj_close", "adjclose", "close"]; // the adjusted one first
const CELL = /[ ]*(?:"([^"]*)"[ ]*|([^,;\t]*))(?:[,;\t]|$)/y;
const MAX_NAMES = 10;

/** @typedef {{number: number, cells: string[]}} Row  number: line number */
/** @typedef {{text: string, place: string}} Item  a number as text, and its position */
/** @typedef {{items: Item[], dates: string[], problems: string[]}} Found */

/**
 * Return the lines that are not blank, split into cells.
 * @param {string} text
 * @returns {Row[]}
 */
export function readRows(text) {
  return text
    .split(/\r\n|\r|\n/)
    .map((line, index) => ({ number: index + 1, cells: cut(line) }))
    .filter((row) => row.cells.some((cell) => cell));
}

/** Return whether a row has a date, or the first one names a date column. @param {Row[]} rows */
export function areDated(rows) {
  return rows.some((row) => row.cells.some((cell) => DATE.test(cell))) || names(rows[0]).includes(DATE_COLUMN);
}

/** @param {Row[]} rows @returns {Found} */
export function readDatedRows(rows) {
  const hasHeader = !rows[0].cells.some((cell) => NUMBER_FIRST.test(cell));
  const columns = hasHeader ? findColumns(rows[0]) : { date: 0, close: 1, count: 2 };
  if (!columns) {
    const found = rows[0].cells.slice(0, MAX_NAMES).map((name) => `“${name}”`).join(", ");
    const problem = `Line ${rows[0].number} needs a column “date” and a column “close” (or “Adj Close”); it has: ${found}.`;
    return { items: [], dates: [], problems: [problem] };
  }
  const { date, close, count } = columns;
  const days = (hasHeader ? rows.slice(1) : rows)
    .filter(({ cells }) => cells[date] || cells[close] || cells.length > count)
    .map(({ number, cells }) => ({ place: `Line ${number}`, size: cells.length, date: cells[date] ?? "", text: cells[close] ?? "" }));
  const problems = days.map((day) => rowProblem(day, count, hasHeader)).filter((problem) => problem !== null);
  const dated = days.map((day) => ({ ...day, date: day.date.match(DATE)?.[0] ?? "" }));
  if (!problems.length) {
    putInOrder(dated, problems);
  }
  return { items: dated, dates: dated.map((day) => day.date), problems };
}

/** Split a line into cells. A comma between quotes does not split. @param {string} line */
function cut(line) {
  const cells = [];
  CELL.lastIndex = 0;
  do {
    const [, quoted, plain] = /** @type {RegExpExecArray} */ (CELL.exec(line));
    cells.push((quoted ?? plain).trim());
  } while (CELL.lastIndex < line.length);
  return cells;
}

/** Return the names of a header's columns. @param {Row} header */
function names(header) {
  return header.cells.map((name) => name.toLowerCase());
}

/** Return the positions of date and close in a header, and its number of columns; null if one is missing. @param {Row} header */
function findColumns(header) {
  const found = names(header);
  const name = CLOSE_COLUMNS.find((column) => found.includes(column));
  const date = found.indexOf(DATE_COLUMN);
  return date < 0 || name === undefined ? null : { date, close: found.indexOf(name), count: found.length };
}

/**
 * @param {{place: string, size: number, date: string}} row
 * @param {number} count number of columns
 * @param {boolean} hasHeader
 * @returns {string | null} why it is not a row with a date and a close
 */
function rowProblem({ place, size, date }, count, hasHeader) {
  if (hasHeader && size > count) {
    return `${place} has ${size} fields, the header ${count}.`;
  }
  const day = date.match(DATE)?.[0];
  if (!day || (!hasHeader && size !== count)) {
    return hasHeader
      ? `${place}: “${date.slice(0, 20)}” is no date like 2022-12-28.`
      : `${place} is not of the form date,close with a date like 2022-12-28.`;
  }
  return isDay(day) ? null : `${place}: ${day} is no date.`;
}

/** Return whether a day exists; a browser may read 2022-02-30 as 2 March. @param {string} day */
function isDay(day) {
  const time = Date.parse(day);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}

/**
 * Reverse rows that are newest first; add a problem for each row out of order.
 * @param {{place: string, date: string}[]} days
 * @param {string[]} problems
 */
function putInOrder(days, problems) {
  const newestFirst = days.length > 1 && days[0].date > days[days.length - 1].date;
  days.slice(1).forEach(({ place, date }, index) => {
    const previous = days[index].date;
    if (newestFirst ? date >= previous : date <= previous) {
      problems.push(`${place}: ${date} does not come ${newestFirst ? "before" : "after"} ${previous}, the day in the row above it.`);
    }
  });
  if (newestFirst) {
    days.reverse();
  }
}
