/** The call of the service. */

/**
 * @typedef {{"80": [number, number], "95": [number, number]}} Intervals  [low, high] in the currency of the closes
 * @typedef {{step: number, price: number, intervals: Intervals}} Step  forecast of one trading day; step 1 is the next
 * @typedef {{predicted_price: number, last_close: number, intervals: Intervals, path: Step[], warnings: string[],
 *   model_version: string, response_time_sec: number}} Answer
 * @typedef {{ok: true, answer: Answer} | {ok: false, error: string, details: string[]}} Reply
 */

const NO_ANSWER = "The server did not answer. Is it running, and are you connected?";

/**
 * POST one window and a horizon.
 * @param {string} url
 * @param {{predict: number[], horizon: number}} body
 * @returns {Promise<Reply>}
 */
export async function predict(url, body) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    return { ok: false, error: NO_ANSWER, details: [] };
  }
  const content = await response.json().catch(() => null);
  if (response.ok && content) {
    return { ok: true, answer: content };
  }
  return { ok: false, error: content?.error ?? `The server answered with status ${response.status}.`, details: content?.details ?? [] };
}
