/** The symbol in the page's address, /?symbol=JNJ, so that a forecast can be shared as a link. */

const NAME = "symbol";
const MAX_LENGTH = 30; // as in the field

/** The symbol that the address asks for; empty where it asks for none. */
export function symbolInAddress() {
  return (new URLSearchParams(location.search).get(NAME) ?? "").trim().slice(0, MAX_LENGTH);
}

/** Let the address ask for what is shown, without an entry in the history. @param {string} symbol empty for closes of the user's own */
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
