/** The switch of the page's language. Without JavaScript its link changes this page only. */

const YEAR = 365 * 24 * 60 * 60; // seconds

/** Keep what the page shows when the language is switched, and remember the language. @param {() => void} keep called before the switch */
export function startLanguage(keep) {
  const link = /** @type {HTMLAnchorElement} */ (document.getElementById("other-language"));
  link.addEventListener("click", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) { // else another tab is opened
      keep();
    }
    const url = new URL(location.href);
    const chosen = link.hreflang.split("-")[0];
    url.searchParams.set("lang", chosen);
    link.href = url.href;
    document.cookie = `lang=${chosen}; path=${link.dataset.root}; max-age=${YEAR}; samesite=lax`;
  });
}
