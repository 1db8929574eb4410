/** Symbols, and the offered companies: found by their symbol or by a part of their name. */

import { byId } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {{symbol: string, name: string}} Company */

const SIGNS = "A-Z0-9^=&_-"; // of a symbol, as on the server
const LONGEST = 32; // characters
const SYMBOL = new RegExp(`^[${SIGNS}][.${SIGNS}]{0,${LONGEST - 1}}$`); // not a dot first: ".." would lead to another address
const SIGN = new RegExp(`^[.${SIGNS}]$`, "i");
const NAMED = 5; // wrong characters in a message
const SHOWN_LENGTH = 40; // of a text that is not a symbol
const BETWEEN = /[\s,;|]+/; // symbols of a list
const LEAST = 4; // letters of a word that names a company by itself; a shorter one may be another symbol

const companies = /** @type {Company[]} */ (
  [.../** @type {NodeListOf<HTMLElement>} */ (byId("form").querySelectorAll("[data-symbol]"))].map(({ dataset }) => ({
    symbol: dataset.symbol ?? "",
    name: dataset.name ?? "",
  }))
);

/** Whether a text is written like a symbol, in upper case. @param {string} text */
export function isSymbol(text) {
  return SYMBOL.test(text);
}

/** Say why a text is not a symbol, which `isSymbol` found. @param {string} typed as the reader wrote it */
export function faultOf(typed) {
  const text = typed.trim();
  const names = [...text].filter((sign) => !SIGN.test(sign)).map((sign) => (/\s/.test(sign) ? t("a space") : `“${sign}”`));
  const wrong = [...new Set(names)];
  const values = { text: text.slice(0, SHOWN_LENGTH), most: LONGEST, list: [...wrong.slice(0, NAMED), ...(wrong.length > NAMED ? ["…"] : [])].join(", ") };
  if (wrong.length) {
    return t("“{text}” is not a symbol: it has {list}. A symbol has letters, digits and . ^ = - & _ only.", values);
  }
  return text.startsWith(".")
    ? t("“{text}” is not a symbol: it begins with a dot.", values)
    : t("“{text}” is not a symbol: it has more than {most} characters.", values);
}

/**
 * Return the symbols of a list, in upper case and each once; empty if the text is not a list of symbols. A number, such as 1e-5, is none.
 * @param {string} text
 */
export function symbolsIn(text) {
  const parts = text.trim().toUpperCase().split(BETWEEN).filter(Boolean);
  const symbols = [...new Set(parts)];
  return symbols.every((part) => isSymbol(part) && /[A-Z]/.test(part) && Number.isNaN(Number(part))) ? symbols : [];
}

/** Return the name of a symbol's company; empty if it is not known. @param {string} symbol */
export function nameOf(symbol) {
  return companies.find((company) => company.symbol === symbol)?.name ?? "";
}

/** Return the companies whose symbol or a word of whose name begins with a text. @param {string} text */
function matching(text) {
  const wanted = text.trim().toLowerCase();
  const begins = (/** @type {string} */ name) => name.startsWith(wanted) || name.split(/[ -]/).some((word) => word.startsWith(wanted));
  return wanted ? companies.filter(({ symbol, name }) => symbol.toLowerCase().startsWith(wanted) || begins(name.toLowerCase())) : [];
}

/** Return the symbol that a text stands for: by itself, or as the name of one company, whole or from the beginning of a word. @param {string} text */
export function symbolOf(text) {
  const wanted = text.trim();
  const upper = wanted.toUpperCase();
  const named = companies.find(({ symbol, name }) => symbol === upper || name.toUpperCase() === upper);
  const [first, ...others] = wanted.length >= LEAST && wanted !== upper ? matching(wanted) : [];
  return (named ?? (others.length ? undefined : first))?.symbol ?? upper;
}

/**
 * Show the chips of the companies that match the text of a field; without a match those that are suggested.
 * @param {HTMLElement} group of the chips, each with data-symbol and data-name; data-suggested: shown without a match
 * @param {string} text
 */
export function suggest(group, text) {
  const found = new Set(matching(text).map(({ symbol }) => symbol));
  for (const chip of /** @type {NodeListOf<HTMLElement>} */ (group.querySelectorAll("[data-symbol]"))) {
    const { symbol = "", name = "", suggested } = chip.dataset;
    chip.hidden = found.size ? !found.has(symbol) : suggested === undefined;
    chip.textContent = found.size ? `${symbol} ${name}` : symbol;
  }
}
