/** Lists of symbols: the reader's own, kept in the browser, and the one in the address, /?watch=MSFT,KO. */

import { addressOf, LIST } from "../shared/address.js";
import { isSymbol } from "../shared/symbols.js";

export const MOST = 30; // symbols of a list
const KEY = "watchlist";

/**
 * Return the symbols among some texts, in upper case and each once.
 * @param {unknown[]} texts
 */
function symbolsOf(texts) {
  return [...new Set(texts.map((text) => String(text).trim().toUpperCase()).filter(isSymbol))];
}

/** Return the list that the browser keeps; null if there is none. */
export function keptList() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "null");
    return Array.isArray(kept) ? symbolsOf(kept).slice(0, MOST) : null;
  } catch {
    return null; // storage is blocked, or holds something else
  }
}

/** Keep a list in the browser. @param {string[]} symbols @returns {boolean} whether the browser allows it */
export function keepList(symbols) {
  try {
    localStorage.setItem(KEY, JSON.stringify(symbols));
    return true;
  } catch {
    return false;
  }
}

/**
 * Return the list in the address.
 * @returns {{symbols: string[], left: number} | null} left: how many entries were left out: wrong ones, and those over the limit; null
 *   without a list
 */
export function listInAddress() {
  const text = new URLSearchParams(location.search).get(LIST);
  if (text === null) {
    return null;
  }
  const entries = text.split(",").filter((entry) => entry.trim());
  const symbols = symbolsOf(entries).slice(0, MOST);
  return { symbols, left: new Set(entries.map((entry) => entry.trim().toUpperCase())).size - symbols.length };
}

/** Replace the list in the address. @param {string[] | null} symbols null: no list */
export function putListIntoAddress(symbols) {
  const url = new URL(symbols ? addressOf(symbols) : location.href);
  if (!symbols) {
    url.searchParams.delete(LIST);
  }
  url.hash = location.hash;
  history.replaceState(history.state, "", url);
}
