/** The API key: asked for once a server wants one, kept for as long as the browser's tab, sent as a header, never shown. */

export const KEY_HEADER = "X-API-Key";
const SENDABLE = /^[\x20-\x7e\xa0-\xff]+$/; // what a header can hold

const field = /** @type {HTMLInputElement} */ (document.getElementById("api-key"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("key-form"));
const problem = /** @type {HTMLElement} */ (document.getElementById("api-key-error"));
let retry = () => {};

/**
 * The header that brings the key; none where none is known.
 * @returns {Record<string, string>}
 */
export function keyHeader() {
  const key = field.value.trim() || kept();
  return SENDABLE.test(key) ? { [KEY_HEADER]: key } : {};
}

/**
 * Ask for the key, after the server refused a call without it or with another.
 * @param {() => void} again make that call once more
 */
export function askForKey(again) {
  retry = again;
  problem.textContent = field.value.trim() || kept() ? "The server does not take this API key." : "This server asks for an API key.";
  keep("");
  field.setAttribute("aria-invalid", "true");
  form.hidden = false;
  field.focus();
  form.scrollIntoView({ block: "nearest" }); // with its message
}

/** Keep the key that the server took, if it wanted one. */
export function keepKey() {
  keep(keyHeader()[KEY_HEADER] ?? "");
  form.hidden = true;
}

/** Where storage is blocked, the field alone keeps the key. */
function kept() {
  try {
    return sessionStorage.getItem(KEY_HEADER) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key empty: forget it */
function keep(key) {
  try {
    sessionStorage.setItem(KEY_HEADER, key);
  } catch {
    // the field has it
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
