/** Sends a form's request with the API key. Only the answer to the newest request is shown. */

import { askForKey, keepKey, keyHeader } from "./apiKey.js";
import { withoutKey } from "../forecast/snippets.js";
import { hideOutput, newQuestion } from "../forecast/output.js";

/**
 * @template {{ ok: boolean }} Reply
 * @param {object} question
 * @param {(headers: Record<string, string>) => Promise<Reply>} question.send
 * @param {(busy: boolean) => void} question.showBusy
 * @param {() => void} question.again sends the request again, once there is a key
 * @param {(reply: any, headers: string[]) => void} question.succeed gets the answer and the headers without the key
 * @param {(reply: any) => void} question.fail
 */
export async function askServer({ send, showBusy, again, succeed, fail }) {
  const isNewest = newQuestion();
  const headers = keyHeader();
  showBusy(true);
  const reply = /** @type {any} */ (await send(headers));
  showBusy(false);
  if (reply.ok) {
    keepKey();
  }
  if (!isNewest()) {
    return;
  }
  if (reply.ok) {
    succeed(reply, withoutKey(headers));
    return;
  }
  hideOutput();
  if (reply.status === 401) {
    askForKey(again);
  } else {
    fail(reply);
  }
}
