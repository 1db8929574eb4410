/** Tabs with an address each (the URL's hash), so that links and the Back button work. Keys follow WAI-ARIA's pattern. */

/**
 * @param {HTMLElement} list of links with role="tab", each with the id of its panel in aria-controls
 * @param {Record<string, () => void>} onShow functions to call when a tab is shown, by its hash
 */
export function startTabs(list, onShow) {
  const tabs = /** @type {HTMLAnchorElement[]} */ ([...list.querySelectorAll('[role="tab"]')]);

  function showNamed() {
    const shown = tabs.find((tab) => tab.hash === location.hash) ?? tabs[0];
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === shown));
      tab.tabIndex = tab === shown ? 0 : -1;
      panelOf(tab).hidden = tab !== shown;
    }
    onShow[shown.hash]?.();
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const at = tabs.indexOf(/** @type {HTMLAnchorElement} */ (event.target));
    const target = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1, " ": at }[event.key];
    if (target === undefined || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    event.preventDefault();
    const tab = tabs[(target + tabs.length) % tabs.length];
    tab.focus();
    location.replace(tab.hash); // no entry in the history for each key
  }

  list.addEventListener("keydown", move);
  addEventListener("hashchange", showNamed);
  showNamed();
}

/** @param {HTMLElement} tab */
function panelOf(tab) {
  return /** @type {HTMLElement} */ (document.getElementById(tab.getAttribute("aria-controls") ?? ""));
}
