/** Text with dates that do not break at their hyphens. */

const DATE = /(\d{4}-\d{2}-\d{2}|\d{2}\/\d{2}\/\d{4})/;

/** Put text into an element, with each date in a <time>, which stays on one line. @param {HTMLElement} element @param {string} text */
export function write(element, text) {
  element.replaceChildren(...text.split(DATE).map((part, index) => (index % 2 ? asTime(part) : part)));
}

/** @param {string} date */
function asTime(date) {
  const made = document.createElement("time");
  made.textContent = date;
  return made;
}
