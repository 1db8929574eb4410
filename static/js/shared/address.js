/** The symbol in the page's address, /?symbol=JNJ, so that a forecast can be shared as a link and Back shows the one before. */

export const LIST = "watch"; // of the watchlist, /?watch=MSFT,KO
const NAME = "symbol";
const MAX_LENGTH = 40; // longer than any symbol, so that a long text is reported, not cut

/** Return the symbol in the address; empty if there is none. */
export function symbolInAddress() {
  return (new URLSearchParams(location.search).get(NAME) ?? "").trim().slice(0, MAX_LENGTH);
}

/** Return the address of a watchlist. @param {string[]} symbols */
export function addressOf(symbols) {
  const url = new URL(location.pathname, location.href);
  url.search = `${LIST}=${symbols.map(encodeURIComponent).join(",")}`;
  return url.href;
}

/**
 * Put the symbol into the address. Another symbol than before is a new entry in the history.
 * @param {string} symbol empty for the user's own closes
 * @param {string} id of what is shown, kept with the entry
 */
export function putIntoAddress(symbol, id) {
  const url = new URL(location.href);
  const isOther = symbolInAddress().toUpperCase() !== symbol;
  if (symbol) {
    url.searchParams.set(NAME, symbol);
  } else {
    url.searchParams.delete(NAME);
  }
  if (isOther) {
    history.pushState(id, "", url);
  } else {
    history.replaceState(id, "", url);
  }
}
