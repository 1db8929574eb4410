/** How the server read a price file, in sentences. */

/** @typedef {import("../shared/api.js").FileAnswer} FileAnswer */

const KINDS = ["date", "close", "open", "high", "low"];

/**
 * Return the sentences: which closes are used, from which columns, what was guessed and what was left out.
 * @param {FileAnswer} answer
 * @param {string} name of the file; empty for pasted text
 * @returns {string[]}
 */
export function sentences(answer, name) {
  return [which(answer, name), ...columns(answer), ...answer.guesses, ...answer.left_out.map(leftOut)];
}

/** @param {FileAnswer} answer @param {string} name */
function which({ total, used, closes, dates }, name) {
  const from = name ? `From ${name}: the ` : "The ";
  const first = dates[closes.length - used];
  const period = first ? `, from ${first} to ${dates[dates.length - 1]}` : "";
  return `${from}${total === used ? used : `newest ${used} of ${total.toLocaleString("en")}`} closes are used${period}.`;
}

/** The columns, unless they are named as usual. @param {FileAnswer} answer @returns {string[]} */
function columns({ columns }) {
  const named = KINDS.filter((kind) => columns[kind]);
  const isPlain = named.every((kind) => columns[kind]?.trim().toLowerCase() === kind);
  return isPlain ? [] : [`Columns: ${named.map((kind) => `${kind} from “${columns[kind]}”`).join(", ")}.`];
}

/** @param {{rows: number, reason: string, lines: number[]}} item */
function leftOut({ rows, reason, lines }) {
  const places = lines.length ? ` (line ${lines.join(", ")}${rows > lines.length ? ", …" : ""})` : "";
  return `Left out ${rows.toLocaleString("en")} ${rows === 1 ? "row" : "rows"}: ${reason}${places}.`;
}
