/** The switch of the page's language. Without JavaScript its link changes this page only. */

const YEAR = 365 * 24 * 60 * 60; // seconds

/** Keep what the page shows when the language is switched, and remember the language. */
export function startLanguage() {
  const link = /** @type {HTMLAnchorElement} */ (document.getElementById("other-language"));
  link.addEventListener("click", () => {
    const url = new URL(location.href);
    const chosen = link.hreflang.split("-")[0];
    url.searchParams.set("lang", chosen);
    link.href = url.href;
    document.cookie = `lang=${chosen}; path=${link.dataset.root}; max-age=${YEAR}; samesite=lax`;
  });
}
