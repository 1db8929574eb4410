/** A backtest as the service gives it, in CSV. */

/**
 * Return the dates of a backtest, and some of its columns.
 * @param {string} csv with a header
 * @param {string[]} names of the columns
 * @returns {{dates: string[], columns: number[][]}}
 */
export function readBacktest(csv, names) {
  const [header, ...rows] = csv.trim().split("\n").map((line) => line.split(","));
  const column = (/** @type {string} */ name) => rows.map((row) => row[header.indexOf(name)]);
  return { dates: column("date"), columns: names.map((name) => column(name).map(Number)) };
}
