/** What is wrong with an input, told at its field. */

import { write } from "./prose.js";

/**
 * @param {HTMLElement} place with role="alert"
 * @param {string[]} messages each on a line of its own; none where all is well
 */
export function showMessages(place, messages) {
  place.replaceChildren(...messages.map(asLine));
}

/**
 * Messages at a field, which is marked as wrong while there are any.
 * @param {HTMLElement} field
 * @param {HTMLElement} place with role="alert", that describes the field
 * @param {string[]} messages
 */
export function showProblems(field, place, messages) {
  showMessages(place, messages);
  if (messages.length) {
    field.setAttribute("aria-invalid", "true");
  } else {
    field.removeAttribute("aria-invalid");
  }
}

/** @param {string} text */
function asLine(text) {
  const line = document.createElement("span");
  write(line, text);
  return line;
}
