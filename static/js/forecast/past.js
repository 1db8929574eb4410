/** The past of a symbol's fan: the intervals that the model would have given on each of its last days. */

import { csvOf } from "../shared/api.js";
import { readBacktest } from "../shared/backtestCsv.js";

const DAYS = 250; // of the track record

/** @typedef {Map<string, number[]>} Past  date -> upper and lower bound of the 95% interval, then of the 80% interval */

/**
 * GET the past of a symbol. It is empty if the server does not answer: the forecast is shown without it.
 * @param {string} url of the backtests
 * @param {string} symbol
 * @param {Record<string, string>} headers such as the API key
 * @returns {Promise<Past>}
 */
export async function fetchPast(url, symbol, headers) {
  const reply = await csvOf(`${url}/${encodeURIComponent(symbol)}?days=${DAYS}`, headers);
  return reply.ok ? readPast(reply.answer.csv) : new Map();
}

/** @param {string} csv @returns {Past} */
export function readPast(csv) {
  const { dates, columns } = readBacktest(csv, ["high_95", "low_95", "high_80", "low_80"]);
  return new Map(dates.map((date, row) => [date, columns.map((column) => column[row])]));
}
