/** The page's texts in the reader's language. */

/**
 * Return a text in the page's language, with its values filled in.
 * @param {string} text in English, with names in braces: "{count} closes"
 * @param {Record<string, string | number>} [values] what the names stand for
 */
export function t(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
