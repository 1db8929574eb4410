/** Sends a request with the API key. Only the answer to the newest request is shown. */

import { askForKey, keepKey, keyHeader } from "./apiKey.js";
import { withoutKey } from "../forecast/snippets.js";
import { hideOutput, newQuestion, showProgress } from "../forecast/output.js";

/**
 * @template {{ ok: boolean }} Reply
 * @param {object} question
 * @param {string} question.progress what is in progress, in words
 * @param {(headers: Record<string, string>) => Promise<Reply>} question.send
 * @param {() => void} question.again sends the request again, once there is a key
 * @param {(reply: any, headers: string[]) => void} question.succeed gets the answer and the headers without the key
 * @param {(reply: any) => void} question.fail
 */
export async function askServer({ progress, send, again, succeed, fail }) {
  const isNewest = newQuestion();
  const headers = keyHeader();
  showProgress(progress);
  const reply = /** @type {any} */ (await send(headers));
  if (reply.ok) {
    keepKey();
  }
  if (!isNewest()) {
    return;
  }
  showProgress("");
  if (reply.ok) {
    succeed(reply, withoutKey(headers));
  } else if (reply.status === 401) {
    hideOutput();
    askForKey(again);
  } else {
    fail(reply);
  }
}
