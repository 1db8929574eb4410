/** The chart: closes, forecast and intervals as a fan, drawn with uPlot in the page's colours. */

import { priceFormat } from "./format.js";

/** @typedef {import("./api.js").Step} Step */
/** @typedef {(price: number) => string} Format */

const uPlot = /** @type {any} */ (globalThis).uPlot; // vendor/uplot, loaded before this module

/**
 * A chart that fills its host's width and follows its size and the colour scheme.
 * @param {HTMLElement} host
 * @param {HTMLElement} readout where the values under the pointer are told
 */
export function createChart(host, readout) {
  let plot = /** @type {any} */ (null);
  let redraw = () => {};
  const area = () => ({ width: host.clientWidth, height: host.clientHeight });

  new ResizeObserver(() => plot && host.clientWidth && plot.setSize(area())).observe(host);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

  return {
    /**
     * @param {number[]} closes oldest first
     * @param {Step[]} path
     */
    show(closes, path) {
      const size = closes[closes.length - 1];
      const format = priceFormat(size);
      const axisFormat = priceFormat(size, { trailingZeros: false });
      redraw = () => {
        plot?.destroy();
        readout.textContent = "";
        plot = new uPlot({ ...options(host, readout, format, axisFormat), ...area() }, columns(closes, path), host);
        plot.ctx.canvas.setAttribute("role", "img");
        plot.ctx.canvas.setAttribute("aria-label", describe(closes, path, format));
      };
      redraw();
    },
  };
}

/**
 * uPlot's data: x in trading days from the last close, the bounds, closes and forecast. The fan starts at the last close.
 * @param {number[]} closes
 * @param {Step[]} path
 */
function columns(closes, path) {
  const past = closes.length - 1;
  const last = closes[past];
  const x = Array.from({ length: past + 1 + path.length }, (_, index) => index - past);
  const ahead = (/** @type {(step: Step) => number} */ value) => [...Array(past).fill(null), last, ...path.map(value)];
  return [
    x,
    ahead((step) => step.intervals["95"][1]),
    ahead((step) => step.intervals["95"][0]),
    ahead((step) => step.intervals["80"][1]),
    ahead((step) => step.intervals["80"][0]),
    [...closes, ...Array(path.length).fill(null)],
    ahead((step) => step.price),
  ];
}

/**
 * uPlot's options, but for the size.
 * @param {HTMLElement} host
 * @param {HTMLElement} readout
 * @param {Format} format for single prices
 * @param {Format} axisFormat for the price axis
 */
function options(host, readout, format, axisFormat) {
  const style = getComputedStyle(host);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: colour("muted"), font, labelFont: font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const bound = { width: 0, points: { show: false } };
  return {
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, label: "trading days from the last close", labelSize: 20, size: 28, incrs: [1, 2, 5, 10, 20], values: signed },
      { ...axis, size: widest, values: (/** @type {any} */ _, /** @type {number[]} */ prices) => prices.map(axisFormat) },
    ],
    series: [
      {},
      ...[bound, bound, bound, bound],
      { stroke: colour("text"), width: 1.5, points: { show: false } },
      { stroke: colour("accent"), width: 2, points: { show: false } },
    ],
    bands: [
      { series: [1, 2], fill: colour("band95") },
      { series: [3, 4], fill: colour("band80") },
    ],
    hooks: {
      setCursor: [(/** @type {any} */ plot) => (readout.textContent = valuesAt(plot.data, plot.cursor.idx, format))],
    },
  };
}

/**
 * Days with their sign.
 * @param {any} _
 * @param {number[]} days
 */
function signed(_, days) {
  return days.map((day) => (day > 0 ? `+${day}` : String(day).replace("-", "−")));
}

/**
 * Room for the widest label of the price axis, in pixels.
 * @param {any} _
 * @param {string[] | null} labels
 */
function widest(_, labels) {
  return 14 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length));
}

/**
 * The values under the pointer, in words.
 * @param {(number | null)[][]} data
 * @param {number | null | undefined} index
 * @param {Format} format
 */
function valuesAt(data, index, format) {
  if (index === null || index === undefined) {
    return "";
  }
  const [day, high95, low95, high80, low80, close, price] = data.map((column) => column[index]);
  if (close !== null) {
    return `day ${signed(null, [Number(day)])}: close ${format(Number(close))}`;
  }
  const range = (/** @type {any} */ low, /** @type {any} */ high) => `${format(low)} to ${format(high)}`;
  return `day +${day}: ${format(Number(price))}, 80% ${range(low80, high80)}, 95% ${range(low95, high95)}`;
}

/**
 * The chart in a sentence.
 * @param {number[]} closes
 * @param {Step[]} path
 * @param {Format} format
 */
function describe(closes, path, format) {
  const end = path[path.length - 1];
  const days = end.step === 1 ? "1 trading day" : `${end.step} trading days`;
  return (
    `Line chart of ${closes.length} closes from ${format(closes[0])} to ${format(closes[closes.length - 1])}, and of the forecast ` +
    `${days} ahead: ${format(end.price)}, with its 80% and 95% intervals. The table has the forecast's numbers.`
  );
}
