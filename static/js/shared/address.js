/** The symbol in the page's address, /?symbol=JNJ, so that a forecast can be shared as a link. */

const NAME = "symbol";
const MAX_LENGTH = 40; // as in the field: longer than any symbol, so that a long text is reported, not cut

/** Return the symbol in the address; empty if there is none. */
export function symbolInAddress() {
  return (new URLSearchParams(location.search).get(NAME) ?? "").trim().slice(0, MAX_LENGTH);
}

/** Put the symbol into the address, without an entry in the history. @param {string} symbol empty for the user's own closes */
export function putIntoAddress(symbol) {
  const url = new URL(location.href);
  if (symbol) {
    url.searchParams.set(NAME, symbol);
  } else {
    url.searchParams.delete(NAME);
  }
  if (url.href !== location.href) {
    history.replaceState(null, "", url);
  }
}
