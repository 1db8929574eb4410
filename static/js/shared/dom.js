/** Elements of the page by their id. */

/**
 * Return an element. Elements that the page always has need no check for null, and have the properties of their kind.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}
