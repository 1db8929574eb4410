/** The page's texts in the reader's language. English is in the code; the others are in the page, from translations/. */

/** @typedef {Record<string, string | number>} Values  a number is formatted as the language writes it */

const block = document.getElementById("texts");

export const LANGUAGE = document.documentElement.lang;
export const SENTENCES = block?.dataset.sentences ?? ""; // address of the API's sentences in this language; empty in English
const texts = /** @type {Record<string, string | string[]>} */ (JSON.parse(block?.textContent || "{}"));
const NUMBER = new Intl.NumberFormat(LANGUAGE);
const PLURAL = new Intl.PluralRules(LANGUAGE);

/**
 * Return a text in the page's language, with its values filled in.
 * @param {string} text in English, with names in braces: "{count} closes"
 * @param {Values} [values] what the names stand for
 */
export function t(text, values = {}) {
  return fill(String(texts[text] ?? text), values);
}

/**
 * Return the form of a text that fits a number, which is {count} in it.
 * @param {string} one in English: "{count} close"
 * @param {string} other in English: "{count} closes"
 * @param {number} count
 * @param {Values} [values] what other names stand for
 */
export function nt(one, other, count, values = {}) {
  const forms = texts[one] ?? [one, other];
  return fill(forms[PLURAL.select(count) === "one" ? 0 : 1], { count, ...values });
}

/** @param {string} text @param {Values} values */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name] ?? whole;
    return typeof value === "number" ? NUMBER.format(value) : value;
  });
}
