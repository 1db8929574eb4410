/** How the server read a price file, in sentences. */

import { dayText } from "../shared/format.js";
import { told } from "../shared/sentences.js";
import { nt, t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").FileAnswer} FileAnswer */

const KINDS = { date: t("date"), close: t("close"), open: t("open"), high: t("high"), low: t("low") };

/**
 * Return the sentences: which closes are used, from which columns, what was guessed and what was left out.
 * @param {FileAnswer} answer
 * @param {string} name of the file; empty for pasted text
 * @returns {string[]}
 */
export function sentences(answer, name) {
  return [which(answer, name), ...columns(answer), ...answer.guesses.map((guess) => told(guess)), ...answer.left_out.map(leftOut)];
}

/** @param {FileAnswer} answer @param {string} name */
function which({ total, used, closes, dates }, name) {
  const first = dates[closes.length - used];
  const period = first ? t(", from {first} to {last}", { first: dayText(first), last: dayText(dates[dates.length - 1]) }) : "";
  const values = { name, used, total, period };
  if (total === used) {
    return name ? t("From {name}: the {used} closes are used{period}.", values) : t("The {used} closes are used{period}.", values);
  }
  return name
    ? t("From {name}: the newest {used} of {total} closes are used{period}.", values)
    : t("The newest {used} of {total} closes are used{period}.", values);
}

/** The columns, unless they are named as usual. @param {FileAnswer} answer @returns {string[]} */
function columns({ columns }) {
  const named = Object.entries(KINDS).flatMap(([kind, name]) => (columns[kind] ? [{ kind, name, column: columns[kind] ?? "" }] : []));
  const isPlain = named.every(({ kind, column }) => column.trim().toLowerCase() === kind);
  const list = named.map(({ name, column }) => t("{kind} from “{column}”", { kind: name, column })).join(", ");
  return isPlain ? [] : [t("Columns: {list}.", { list })];
}

/** @param {{rows: number, reason: string, lines: number[]}} item */
function leftOut({ rows, reason, lines }) {
  const list = `${lines.join(", ")}${rows > lines.length ? ", …" : ""}`;
  const places = lines.length ? t(" (line {lines})", { lines: list }) : "";
  return nt("Left out {count} row: {reason}{places}.", "Left out {count} rows: {reason}{places}.", rows, { reason: told(reason), places });
}
