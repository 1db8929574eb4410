/** A group of buttons of which one is pressed. */

/**
 * Press the button that is clicked, and release the others.
 * @param {HTMLButtonElement[]} buttons
 * @param {() => void} show called after each click
 */
export function onChoice(buttons, show) {
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      show();
    });
  }
}

/** Return the button that is pressed. @param {HTMLButtonElement[]} buttons */
export function chosen(buttons) {
  return buttons.find((button) => button.getAttribute("aria-pressed") === "true");
}
