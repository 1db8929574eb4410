/** The calls of the service. */

/**
 * @typedef {{"80": [number, number], "95": [number, number]}} Intervals  [low, high] in the currency of the closes
 * @typedef {{step: number, price: number, intervals: Intervals}} Step  forecast of one trading day; step 1 is the next
 * @typedef {{predicted_price: number, last_close: number, intervals: Intervals, path: Step[], warnings: string[],
 *   model_version: string, response_time_sec: number}} Answer
 * @typedef {Answer & {symbol: string, as_of: string, source: "yahoo" | "cache" | "snapshot", dates: string[], closes: number[]}} SymbolAnswer
 * @typedef {{ok: false, status: number, error: string, details: string[], retryAfter?: number}} Failure  status 0: no answer came;
 *   retryAfter: seconds
 */

/**
 * @template T
 * @typedef {{ok: true, answer: T} | Failure} Reply
 */

const NO_ANSWER = "The server did not answer. Is it running, and are you connected?";

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
 * GET the forecast from the newest closes of a symbol.
 * @param {string} url
 * @param {Record<string, string>} headers such as the API key
 * @returns {Promise<Reply<SymbolAnswer>>}
 */
export function forecastSymbol(url, headers) {
  return call(url, { headers }, (response) => response.json());
}

/**
 * GET the backtest of the model that serves.
 * @param {string} url
 * @returns {Promise<Reply<{csv: string, etag: string | null}>>} etag has the model's version
 */
export function backtest(url) {
  return call(url, {}, async (response) => ({ csv: await response.text(), etag: response.headers.get("ETag") }));
}

/**
 * @template T
 * @param {string} url
 * @param {RequestInit} request
 * @param {(response: Response) => Promise<T | null>} read what to take from a good answer
 * @returns {Promise<Reply<T>>}
 */
async function call(url, request, read) {
  let response;
  try {
    response = await fetch(url, request);
  } catch {
    return { ok: false, status: 0, error: NO_ANSWER, details: [] };
  }
  const answer = response.ok ? await read(response).catch(() => null) : null;
  if (answer !== null) {
    return { ok: true, answer };
  }
  const { status } = response;
  const content = await response.json().catch(() => null);
  const error = content?.error ?? `The server answered with status ${status}.`;
  return { ok: false, status, error, details: content?.details ?? [], retryAfter: Number(response.headers.get("Retry-After")) };
}
