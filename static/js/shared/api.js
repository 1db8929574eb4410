/** The calls of the service. */

import { loadSentences } from "./sentences.js";
import { t } from "./texts.js";

/**
 * @typedef {{"50": [number, number], "80": [number, number], "95": [number, number]}} Intervals  [low, high] in the currency of the closes
 * @typedef {{code: string, day: string | null, text: string}} SeriesWarning  code: for programs; text: for people
 * @typedef {{step: number, date?: string, price: number, intervals: Intervals, probability_above?: number[]}} Step  forecast of one trading
 *   day; step 1 is the next; date: if the symbol is known
 * @typedef {{predicted_price: number, last_close: number, intervals: Intervals, path: Step[], warnings: SeriesWarning[],
 *   model_version: string, model_symbol: string | null, response_time_sec?: number, track_record?: TrackRecord | null}} Answer
 *   model_symbol: null for the default model; response_time_sec: missing in the example; track_record: of a symbol
 * @typedef {{days: number, held: {"80": number, "95": number}, median_width: {"80": number, "95": number}}} TrackRecord  how many closes
 *   each interval held; its usual width, relative to the last close
 * @typedef {Answer & {symbol: string, as_of: string, source: "yahoo" | "cache" | "snapshot", probability_of_rise: number, dates: string[],
 *   closes: number[]}} SymbolAnswer
 * @typedef {Answer & {as_of: string | null, dates: string[], closes: number[], total: number, used: number,
 *   columns: Record<string, string | null>, left_out: {rows: number, reason: string, lines: number[]}[], guesses: string[]}} FileAnswer
 *   total: closes of the file; used: the newest of them; dates: empty if the file has none
 * @typedef {{timestamp: string, response_time: number | null, status: number | null, windows: number | null, last_close: number | null,
 *   predicted_price: number | null, low_80: number | null, high_80: number | null, model_symbol: string | null,
 *   symbol: string | null}} LoggedRequest
 * @typedef {{n: number, needed: number, rmse: number | null, naive_rmse: number | null, coverage_80: number | null,
 *   coverage_95: number | null, mean_width_80: number | null, mean_width_95: number | null, verdict: string,
 *   by_symbol: Record<string, LiveFigures>, caught_up: boolean,
 *   by_day?: {date: string, n: number, held_80: number, held_95: number}[]}} LiveAccuracy
 * @typedef {{n: number, rmse: number | null, naive_rmse: number | null, coverage_80: number | null, coverage_95: number | null}} LiveFigures
 * @typedef {{start: string, requests: number, refused: number, failed: number, p50: number | null, p95: number | null}} Period
 * @typedef {{at: string, model_version: string}} ModelChange  the time at which another version began to answer
 * @typedef {{period_seconds: number | null, periods: Period[], changes?: ModelChange[]}} Timeline
 * @typedef {{requests: number, timeline: Timeline, workers?: number, by_status: Record<string, number>, latency_seconds: {p50: number, p95: number, p99: number} | null,
 *   live_accuracy: LiveAccuracy, drift: {n: number, needed: number, verdict: string, histogram?: {edges: number[], now: number[], trained: number[]} | null}}} Summary
 * @typedef {{"CURRENT CPU": number, "MEMORY %": number, RESPONSES: LoggedRequest[], SUMMARY: Summary}} Monitor
 * @typedef {{model_version: string, problem: string | null}} Ready
 * @typedef {{symbol: string, default: boolean, model_version: string, created_at: string, last_date: string,
 *   metrics: Record<string, number | null>}} PublishedModel
 * @typedef {{model_version: string, created_at: string, published: boolean}} KeptVersion
 * @typedef {{ok: false, status: number, error: string, details: string[], retryAfter?: number}} Failure  status 0: no answer;
 *   retryAfter: seconds
 */

/**
 * @template T
 * @typedef {{ok: true, answer: T} | Failure} Reply
 */

const STATE_MILLISECONDS = 10_000; // time limit of a call for the service's state
const NO_ANSWER = t("The server did not answer. Is it running, and are you connected?");

/**
 * POST one window and a horizon.
 * @param {string} url
 * @param {{predict: number[], horizon: number}} body
 * @param {Record<string, string>} [headers] such as the API key
 * @returns {Promise<Reply<Answer>>}
 */
export function predict(url, body, headers = {}) {
  const request = { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) };
  return call(url, request, (response) => response.json());
}

/**
 * POST a price file.
 * @param {string} url with the options
 * @param {Blob | string} content
 * @param {Record<string, string>} [headers] such as the API key
 * @returns {Promise<Reply<FileAnswer>>}
 */
export function predictFile(url, content, headers = {}) {
  const request = { method: "POST", headers: { "Content-Type": "text/csv", ...headers }, body: content };
  return call(url, request, (response) => response.json());
}

/**
 * GET the forecast from the newest closes of a symbol.
 * @param {string} url
 * @param {Record<string, string>} headers such as the API key
 * @returns {Promise<Reply<SymbolAnswer>>}
 */
export function forecastSymbol(url, headers) {
  return call(url, { headers }, (response) => response.json());
}

/**
 * GET a backtest as CSV.
 * @param {string} url
 * @param {Record<string, string>} [headers] such as the API key
 * @returns {Promise<Reply<{csv: string, etag: string | null}>>} etag: the model's version, for the backtest of the model that serves
 */
export function csvOf(url, headers = {}) {
  return call(url, { headers }, async (response) => ({ csv: await response.text(), etag: response.headers.get("ETag") }));
}

/**
 * GET the state of the service, and the server's time.
 * @param {string} url
 * @param {Record<string, string>} headers such as the API key
 * @returns {Promise<Reply<{content: Monitor, now: Date}>>}
 */
export function monitor(url, headers) {
  const read = async (/** @type {Response} */ response) => ({
    content: await response.json(),
    now: new Date(response.headers.get("Date") ?? Date.now()),
  });
  return call(url, { headers, signal: AbortSignal.timeout(STATE_MILLISECONDS) }, read);
}

/**
 * GET the version of the model that serves.
 * @param {string} url
 * @returns {Promise<Reply<Ready>>}
 */
export function ready(url) {
  return call(url, { signal: AbortSignal.timeout(STATE_MILLISECONDS) }, (response) => response.json());
}

/**
 * GET the published models, the default one first.
 * @param {string} url
 * @param {Record<string, string>} headers such as the API key
 * @returns {Promise<Reply<{models: PublishedModel[], problems: string[], versions?: KeptVersion[]}>>}
 */
export function published(url, headers) {
  return call(url, { headers, signal: AbortSignal.timeout(STATE_MILLISECONDS) }, (response) => response.json());
}

/**
 * @template T
 * @param {string} url
 * @param {RequestInit} request
 * @param {(response: Response) => Promise<T | null>} read reads what is needed from a successful answer
 * @returns {Promise<Reply<T>>}
 */
async function call(url, request, read) {
  const sentences = loadSentences();
  let response;
  try {
    response = await fetch(url, request);
    await sentences; // so that what is answered can be shown in the page's language
  } catch {
    return { ok: false, status: 0, error: NO_ANSWER, details: [] };
  }
  const answer = response.ok ? await read(response).catch(() => null) : null;
  if (answer !== null) {
    return { ok: true, answer };
  }
  const { status } = response;
  const content = await response.json().catch(() => null);
  const error = content?.error ?? t("The server answered with status {status}.", { status: String(status) });
  return { ok: false, status, error, details: content?.details ?? [], retryAfter: Number(response.headers.get("Retry-After")) };
}
