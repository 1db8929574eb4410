/** Error messages next to the field that they are about. */

import { write } from "./prose.js";
import { nt } from "./texts.js";

/**
 * @param {HTMLElement} place with role="alert"
 * @param {string[]} messages one per line; empty if there is no problem
 */
export function showMessages(place, messages) {
  place.replaceChildren(...messages.map(asLine));
}

/**
 * Show messages at a field, and mark the field as invalid while there are any.
 * @param {HTMLElement} field
 * @param {HTMLElement} place with role="alert"; it describes the field
 * @param {string[]} messages
 */
export function showProblems(field, place, messages) {
  showMessages(place, messages);
  mark(field, messages.length > 0);
}

/** Mark a field as invalid, or no longer. @param {HTMLElement} field @param {boolean} isInvalid */
export function mark(field, isInvalid) {
  if (isInvalid) {
    field.setAttribute("aria-invalid", "true");
  } else {
    field.removeAttribute("aria-invalid");
  }
}

/** When to try again, in a sentence; empty if that is unknown. @param {number | undefined} seconds */
export function retryAdvice(seconds) {
  return seconds ? nt("Try again in {count} second.", "Try again in {count} seconds.", seconds) : "";
}

/** @param {string} text */
function asLine(text) {
  const line = document.createElement("span");
  write(line, text);
  return line;
}
