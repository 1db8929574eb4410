/** The API key. The page asks for it when the server needs one, keeps it until the browser tab is closed, and never shows it. */

import { t } from "./texts.js";

export const KEY_HEADER = "X-API-Key";
const SENDABLE = /^[\x20-\x7e\xa0-\xff]+$/; // what a header can hold

const field = /** @type {HTMLInputElement} */ (document.getElementById("api-key"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("key-form"));
const problem = /** @type {HTMLElement} */ (document.getElementById("api-key-error"));
let retry = () => {};

/**
 * Return the header with the key; no header if the key is unknown.
 * @returns {Record<string, string>}
 */
export function keyHeader() {
  const key = field.value.trim() || kept();
  return SENDABLE.test(key) ? { [KEY_HEADER]: key } : {};
}

/**
 * Ask for the key after the server refused a call.
 * @param {() => void} again repeats the call
 */
export function askForKey(again) {
  retry = again;
  problem.textContent = field.value.trim() || kept() ? t("The server does not take this API key.") : t("This server asks for an API key.");
  keep("");
  field.setAttribute("aria-invalid", "true");
  form.hidden = false;
  field.focus();
  form.scrollIntoView({ block: "nearest" }); // with its message
}

/** Keep the key after the server accepted it. */
export function keepKey() {
  keep(keyHeader()[KEY_HEADER] ?? "");
  form.hidden = true;
}

/** Read the kept key. If storage is blocked, only the field has it. */
function kept() {
  try {
    return sessionStorage.getItem(KEY_HEADER) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key empty: delete it */
function keep(key) {
  try {
    sessionStorage.setItem(KEY_HEADER, key);
  } catch {
    // storage is blocked; the field has the key
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  retry();
});
field.addEventListener("input", () => {
  problem.textContent = "";
  field.removeAttribute("aria-invalid");
});
