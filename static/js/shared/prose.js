/** Text with code, and with dates that do not break at their hyphens. */

const MARKED = /(`[^`“”]+`|\d{4}-\d{2}-\d{2}|\d{2}\/\d{2}\/\d{4})/; // code between backticks, not one that is quoted, and dates

/** Put text into an element, with code in a <code> and each date in a <time>, which stays on one line. @param {HTMLElement} element @param {string} text */
export function write(element, text) {
  element.replaceChildren(...text.split(MARKED).map((part, index) => (index % 2 ? marked(part) : part)));
}

/** @param {string} part code between backticks, or a date */
function marked(part) {
  const isCode = part.startsWith("`");
  const made = document.createElement(isCode ? "code" : "time");
  made.textContent = isCode ? part.slice(1, -1) : part;
  return made;
}
