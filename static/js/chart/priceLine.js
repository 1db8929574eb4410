/** A horizontal line of a chart that is dragged, or moved with the arrow keys, to a price. */

import { readNumber } from "../shared/format.js";
import { t } from "../shared/texts.js";

const KEY_STEPS = 100; // from the bottom of the chart to its top, with the arrow keys
const LABEL = 24; // pixels, the height of the line's label
const PHONE = matchMedia("(max-width: 30rem)"); // as in css/page.css
const KEY_WAIT = 400; // milliseconds after the last key until the price is used

/**
 * uPlot's option that leaves room for the line's label on the right of a chart.
 * @param {string} price as its label
 */
export function roomFor(price) {
  return [null, () => (PHONE.matches ? Math.max(48, 14 + 7 * price.length) : 28 + 8 * price.length), null, null];
}

/** @param {(price: number) => void} use called when the line is released at another price */
export function createPriceLine(use) {
  const line = document.createElement("div");
  let plot = /** @type {any} */ (null);
  let format = /** @type {(price: number) => string} */ (String);
  let price = NaN;
  let used = NaN;
  let timer = 0;

  function draw() {
    const { min, max } = plot.scales.y;
    line.hidden = !(price >= min && price <= max);
    const top = plot.valToPos(price, "y");
    line.style.top = `${top}px`;
    line.style.setProperty("--lift", `${Math.max(0, top + LABEL / 2 - plot.over.clientHeight)}px`); // not over the dates
    line.dataset.price = format(price);
    for (const [name, value] of Object.entries({ min, max, now: price })) {
      line.setAttribute(`aria-value${name}`, String(value));
    }
    line.setAttribute("aria-valuetext", format(price));
  }

  /** @param {number} next */
  function move(next) {
    const { min, max } = plot.scales.y;
    price = readNumber(format(Math.max(min, Math.min(max, next))));
    draw();
  }

  function release() {
    if (price !== used) {
      used = price;
      use(price);
    }
  }

  line.className = line.id = "price-line";
  line.tabIndex = 0;
  for (const [name, value] of [["role", "slider"], ["aria-orientation", "vertical"], ["aria-label", t("Price to compare the closes with")]]) {
    line.setAttribute(name, value);
  }
  line.addEventListener("mousedown", (event) => event.stopPropagation()); // or the chart would zoom
  line.addEventListener("pointerdown", (event) => line.setPointerCapture(event.pointerId));
  line.addEventListener("pointermove", (event) => {
    if (line.hasPointerCapture(event.pointerId)) {
      move(plot.posToVal(event.clientY - plot.over.getBoundingClientRect().top, "y"));
    }
  });
  line.addEventListener("pointerup", release);
  line.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step) {
      event.preventDefault();
      event.stopPropagation();
      move(price + (step * (plot.scales.y.max - plot.scales.y.min)) / KEY_STEPS);
      clearTimeout(timer);
      timer = setTimeout(release, KEY_WAIT);
    }
  });

  return {
    /** Draw the line on a chart; it stays at its price. @param {any} on uPlot's object */
    draw(on) {
      plot = on;
      if (line.parentElement !== plot.over) {
        plot.over.append(line);
      }
      draw();
    },

    /** Put the line at a price, without using it. @param {number} next @param {(price: number) => string} as its format */
    put(next, as) {
      clearTimeout(timer);
      format = as;
      price = used = next;
      if (plot) {
        draw();
      }
    },
  };
}
