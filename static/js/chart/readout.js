/** The values of one day in a box at the cursor. The pointer, a tap and the arrow keys move it. */

import { t } from "../shared/texts.js";

const GAP = 12; // pixels from the cursor to the box
const STEPS = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity });

/**
 * Show a text next to the cursor, on the side that has room.
 * @param {HTMLElement} readout
 * @param {any} plot uPlot's object
 * @param {string} text
 */
export function showReadout(readout, plot, text) {
  readout.textContent = text;
  const { cursor, over } = plot;
  const x = over.offsetLeft + cursor.left;
  const isRight = cursor.left > over.clientWidth / 2;
  const left = isRight ? x - readout.offsetWidth - GAP : x + GAP;
  const most = over.offsetLeft + over.clientWidth - readout.offsetWidth;
  readout.style.left = `${Math.max(0, Math.min(left, most))}px`;
}

/** @param {HTMLElement} readout */
export function hideReadout(readout) {
  readout.textContent = "";
}

/**
 * Move the cursor with the arrow keys while the chart has the focus; Escape removes it.
 * @param {HTMLElement} host
 * @param {() => any} plotOf returns uPlot's object; null before the first drawing
 */
export function startKeys(host, plotOf) {
  host.tabIndex = 0;
  host.setAttribute("role", "group");
  host.setAttribute("aria-label", t("Chart. The arrow keys show the values day by day."));
  host.addEventListener("keydown", (event) => {
    const plot = plotOf();
    const isCommand = event.ctrlKey || event.altKey || event.metaKey || event.target !== host;
    if (!plot || isCommand || !(event.key in STEPS || event.key === "Escape")) {
      return;
    }
    event.preventDefault();
    move(plot, event.key);
  });
  host.addEventListener("blur", () => {
    const plot = plotOf();
    plot?.setCursor({ left: -10, top: -10 });
  });
}

/** @param {any} plot @param {string} key */
function move(plot, key) {
  if (key === "Escape") {
    plot.setCursor({ left: -10, top: -10 });
    return;
  }
  const days = plot.data[0];
  const { min, max } = plot.scales.x;
  const first = days.findIndex((/** @type {number} */ day) => day >= min);
  const last = days.findLastIndex((/** @type {number} */ day) => day <= max);
  const start = plot.cursor.idx ?? (STEPS[key] > 0 ? first - 1 : last + 1);
  const next = Math.max(first, Math.min(last, start + STEPS[key]));
  plot.setCursor({ left: plot.valToPos(days[next], "x"), top: plot.over.clientHeight / 4 });
}
