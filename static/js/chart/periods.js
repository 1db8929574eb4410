/** Buttons that show a period of a chart: for the keyboard and for fingers, which cannot drag a chart. */

/**
 * @param {HTMLButtonElement[]} buttons each with its period in data-period; empty: all that there is
 * @param {(period: string) => [number, number] | null} bounds the first and the last x of a period; null: not now
 * @param {(min: number, max: number) => void} zoom
 * @returns {(min: number, max: number) => void} press the button of the period that is shown, if there is one
 */
export function startPeriods(buttons, bounds, zoom) {
  const of = (/** @type {HTMLButtonElement} */ button) => bounds(button.dataset.period ?? "");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const range = of(button);
      if (range) {
        zoom(...range);
      }
    });
  }
  return (min, max) => {
    for (const button of buttons) {
      const [first, last] = of(button) ?? [];
      button.setAttribute("aria-pressed", String(first === min && last === max));
    }
  };
}
