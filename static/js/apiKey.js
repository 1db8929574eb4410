/** The API key: asked for once a server wants one, kept for as long as the browser's tab, sent as a header, never shown. */

const NAME = "X-API-Key";
const SENDABLE = /^[\x20-\x7e\xa0-\xff]+$/; // what a header can hold

const field = /** @type {HTMLInputElement} */ (document.getElementById("api-key"));
const frame = /** @type {HTMLElement} */ (document.getElementById("key-field"));
const problem = /** @type {HTMLElement} */ (document.getElementById("api-key-error"));

/**
 * The header that brings the key; none where none is known.
 * @returns {Record<string, string>}
 */
export function keyHeader() {
  const key = field.value.trim() || kept();
  return SENDABLE.test(key) ? { [NAME]: key } : {};
}

/** Ask for the key, after the server refused a call without it or with another. */
export function askForKey() {
  problem.textContent = field.value.trim() || kept() ? "The server does not take this API key." : "This server asks for an API key.";
  keep("");
  field.setAttribute("aria-invalid", "true");
  frame.hidden = false;
  field.focus();
  frame.scrollIntoView({ block: "nearest" }); // with its message
}

/** Keep the key that the server took, if it wanted one. */
export function keepKey() {
  keep(keyHeader()[NAME] ?? "");
  frame.hidden = true;
}

/** Where storage is blocked, the field alone keeps the key. */
function kept() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} key empty: forget it */
function keep(key) {
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // the field has it
  }
}

field.addEventListener("input", () => {
  problem.textContent = "";
  field.removeAttribute("aria-invalid");
});
