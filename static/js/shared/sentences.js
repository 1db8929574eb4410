/** Sentences of the API, which speaks English, in the page's language: by the templates of translations/sentences.txt.
 * They are loaded with the first answer, as most of the page needs none of them. */

import { LANGUAGE, SENTENCES } from "./texts.js";
import { dayText } from "./format.js";

const NAME = /\{(\w+)\}/; // of a value in a template
const NUMBER = /^-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?(%?)$/; // as the API writes it
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const AS_WRITTEN = /^written/; // names of values that are never translated
const MAX_DEPTH = 3; // of sentences within sentences

/** @typedef {{pattern: RegExp, names: string[], translation: string}} Template */

let templates = /** @type {Template[]} */ ([]);
let loading = /** @type {Promise<void> | null} */ (null);

/** Load the templates, once; without them sentences stay in English. */
export function loadSentences() {
  loading ??= SENTENCES ? load() : Promise.resolve();
  return loading;
}

async function load() {
  try {
    const response = await fetch(SENTENCES);
    templates = (await response.json()).map(compiled);
  } catch {
    loading = null; // the next answer tries again
  }
}

/**
 * Return a sentence of the API in the page's language. A sentence without a template stays as it is.
 * @param {string} sentence
 * @param {number} [depth] how many sentences it is within
 * @returns {string}
 */
export function told(sentence, depth = 0) {
  for (const { pattern, names, translation } of depth < MAX_DEPTH ? templates : []) {
    const found = pattern.exec(sentence);
    if (found) {
      const values = Object.fromEntries(names.map((name, index) => [name, AS_WRITTEN.test(name) ? found[index + 1] : value(found[index + 1], depth)]));
      return translation.replace(new RegExp(NAME, "g"), (whole, name) => values[name] ?? whole);
    }
  }
  return sentence;
}

/** A value of a sentence: a number, a date, or a sentence itself. @param {string} text @param {number} depth */
function value(text, depth) {
  const number = NUMBER.exec(text);
  if (number) {
    const digits = number[1]?.length ?? 0;
    const format = new Intl.NumberFormat(LANGUAGE, { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: text.includes(",") });
    return format.format(Number(text.replace(/[,%]/g, ""))) + number[2];
  }
  return DATE.test(text) ? dayText(text) : told(text, depth + 1);
}

/** @param {[string, string]} pair a template and its translation @returns {Template} */
function compiled([template, translation]) {
  const parts = template.split(NAME); // texts and names by turns
  const pattern = parts.map((part, index) => (index % 2 ? "(.*?)" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))).join("");
  return { pattern: new RegExp(`^${pattern}$`, "s"), names: parts.filter((_, index) => index % 2), translation };
}
