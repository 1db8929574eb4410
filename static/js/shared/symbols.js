/** Symbols, and the offered companies: found by their symbol or by a part of their name. */

import { byId } from "./dom.js";

/** @typedef {{symbol: string, name: string}} Company */

const SYMBOL = /^[A-Z0-9^=&_-][A-Z0-9.^=&_-]{0,31}$/; // as on the server; ".." would lead to another address
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

/** Return the name of a symbol's company; empty if it is not known. @param {string} symbol */
export function nameOf(symbol) {
  return companies.find((company) => company.symbol === symbol)?.name ?? "";
}

/** Return the companies whose symbol or a word of whose name begins with a text. @param {string} text */
export function matching(text) {
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
