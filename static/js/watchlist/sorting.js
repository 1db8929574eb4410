/** The order of a table's rows, chosen by buttons in its heads. */

const DOWN_FIRST = ["close", "range", "rise", "width", "held", "change"]; // numbers: the largest first

/**
 * @param {HTMLElement} table its heads have a button with data-sort, the name of their column, and data-sorted, the order in a sentence
 * @param {HTMLElement} place where that sentence is shown
 * @param {() => void} show called when another order is chosen
 * @returns {<T>(items: T[], key: (column: string, item: T) => number | string) => T[]} sorts as chosen; without a choice, as given
 */
export function startSorting(table, place, show) {
  const buttons = /** @type {HTMLButtonElement[]} */ ([...table.querySelectorAll("[data-sort]")]);
  let column = "";
  let isDown = false;

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const own = button.dataset.sort ?? "";
      const first = DOWN_FIRST.includes(own);
      const isBack = own === column && isDown !== first; // the third click: as given
      [column, isDown] = isBack ? ["", false] : [own, own === column ? !isDown : first];
      for (const other of buttons) {
        mark(other, column, isDown);
      }
      place.textContent = column ? (button.dataset.sorted ?? "") : "";
      show();
    });
  }

  return (items, key) => {
    const direction = isDown ? -1 : 1;
    return column ? [...items].sort((a, b) => compare(key(column, a), key(column, b), direction)) : items;
  };
}

/** @param {HTMLButtonElement} button @param {string} column @param {boolean} isDown */
function mark(button, column, isDown) {
  const head = button.closest("th");
  if (button.dataset.sort === column) {
    head?.setAttribute("aria-sort", isDown ? "descending" : "ascending");
  } else {
    head?.removeAttribute("aria-sort");
  }
}

/** @param {number | string} a @param {number | string} b @param {number} direction */
function compare(a, b, direction) {
  if (typeof a === "string" || typeof b === "string") {
    return direction * String(a).localeCompare(String(b));
  }
  return Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : direction * (a - b);
}
