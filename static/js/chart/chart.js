/** A chart drawn with uPlot in the page's colours, above all of closes, forecasts and their intervals. */

import { priceFormat } from "../shared/format.js";

/** @typedef {(price: number) => string} Format */
/** @typedef {(name: string) => string} Colour  a colour of the page, by its name in css/page.css */

/**
 * What a chart shows.
 * @typedef {object} Content
 * @property {(number | null)[][]} columns x, and what `lines` draws
 * @property {number} size a typical price: it decides how many digits are shown
 * @property {(colour: Colour) => {series: object[], bands: object[]}} lines uPlot's options of the columns but x
 * @property {object} axis uPlot's options of the x axis, without colours
 * @property {object} [scale] uPlot's options of the x scale
 * @property {object} [priceScale] uPlot's options of the y scale
 * @property {number} [shortest] the closest that dragging zooms in, in units of x; without it, dragging does not zoom
 * @property {(row: (number | null)[], format: Format) => string} tell the values of one x, in words
 * @property {(format: Format) => string} describe the chart in a sentence
 */

const uPlot = /** @type {any} */ (globalThis).uPlot; // vendor/uplot, loaded before this module

/**
 * A chart that fills its host's width and follows its size and the colour scheme.
 * @param {HTMLElement} host
 * @param {HTMLElement} readout shows the values under the pointer
 * @param {(min: number, max: number) => void} [onRange] called with the range of x whenever it changes
 */
export function createChart(host, readout, onRange) {
  let plot = /** @type {any} */ (null);
  let redraw = () => {};
  const area = () => ({ width: host.clientWidth, height: host.clientHeight });

  new ResizeObserver(() => plot && host.clientWidth && plot.setSize(area())).observe(host);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    const range = plot && { ...plot.scales.x };
    redraw();
    plot?.setScale("x", range);
  });

  return {
    /** @param {Content} content */
    show(content) {
      const format = priceFormat(content.size);
      redraw = () => {
        plot?.destroy();
        readout.textContent = "";
        const all = { ...hooks(content, format, readout, onRange), ready: [() => markDrawn(host.id)] };
        plot = new uPlot({ ...options(host, content), ...area(), hooks: all }, content.columns, host);
        plot.ctx.canvas.setAttribute("role", "img");
        plot.ctx.canvas.setAttribute("aria-label", content.describe(format));
      };
      redraw();
    },

    /** What is drawn, without a background. @returns {HTMLCanvasElement} */
    canvas: () => plot.ctx.canvas,

    /** Show only a part of x. @param {number} min @param {number} max */
    zoom(min, max) {
      plot?.setScale("x", { min, max });
    },
  };
}

/**
 * uPlot's options, without size and hooks.
 * @param {HTMLElement} host
 * @param {Content} content
 */
function options(host, { size, lines, axis, scale, priceScale = {}, shortest }) {
  const style = getComputedStyle(host);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const font = `12px ${style.fontFamily}`;
  const axes = { stroke: colour("muted"), font, labelFont: font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const format = priceFormat(size, { trailingZeros: false });
  const { series, bands } = lines(colour);
  return {
    legend: { show: false },
    tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"), // a day is one the world over
    cursor: {
      y: false,
      drag: { x: shortest !== undefined, y: false, dist: 8 },
      points: { show: false },
      bind: { mouseleave: unlessTouched },
    },
    scales: { x: { time: false, ...(shortest && { range: atLeast(shortest) }), ...scale }, y: priceScale },
    axes: [
      { ...axes, size: 28, ...axis },
      { ...axes, size: widest, values: (/** @type {any} */ _, /** @type {number[]} */ prices) => prices.map(format) },
    ],
    series: [{}, ...series],
    bands,
  };
}

/**
 * The range of x that is shown, for one that was asked for.
 * @param {number} shortest
 */
function atLeast(shortest) {
  return (/** @type {any} */ _, /** @type {number} */ min, /** @type {number} */ max) => {
    const missing = Math.max(0, shortest - (max - min));
    return [min - missing / 2, max + missing / 2];
  };
}

/** Leave word in the browser's timeline that a chart is drawn (benchmarks/benchPage.py reads it). @param {string} id of its host */
function markDrawn(id) {
  performance.clearMarks(id);
  performance.mark(id);
}

/**
 * The lines of a forecast. Columns: x, the 95% interval's upper and lower bound, the 80% interval's, closes, forecasts.
 * @param {[number, number]} widths of closes and of forecasts, in pixels
 * @returns {Content["lines"]}
 */
export function forecastLines([closes, forecasts]) {
  const points = { show: false };
  const bound = { width: 0, points };
  return (colour) => ({
    series: [
      ...[bound, bound, bound, bound],
      { stroke: colour("text"), width: closes, points },
      { stroke: colour("accent"), width: forecasts, points },
    ],
    bands: [
      { series: [1, 2], fill: colour("band95") },
      { series: [3, 4], fill: colour("band80") },
    ],
  });
}

/**
 * @param {Content} content
 * @param {Format} format
 * @param {HTMLElement} readout
 * @param {((min: number, max: number) => void) | undefined} onRange
 */
function hooks({ columns, tell }, format, readout, onRange) {
  return {
    setCursor: [
      (/** @type {any} */ { cursor: { idx } }) => {
        readout.textContent = Number.isInteger(idx) ? tell(columns.map((column) => column[idx]), format) : "";
      },
    ],
    setScale: [(/** @type {any} */ { scales }, /** @type {string} */ name) => name === "x" && onRange?.(scales.x.min, scales.x.max)],
  };
}

/**
 * After a tap, some browsers say that the mouse has left. Then the tapped values stay.
 * @param {unknown} _chart
 * @param {unknown} _target
 * @param {(event: MouseEvent) => void} handler uPlot's own
 */
function unlessTouched(_chart, _target, handler) {
  return (/** @type {MouseEvent} */ event) => {
    if (!matchMedia("(hover: none)").matches) {
      handler(event);
    }
  };
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
 * A forecast's values, in words.
 * @param {(number | null)[]} row x, the bounds, close and forecast, as in the columns of forecastLines
 * @param {Format} format
 */
export function tellForecast([, high95, low95, high80, low80, , price], format) {
  const text = (/** @type {number | null} */ value) => format(Number(value));
  return `${text(price)}, 80% ${text(low80)} to ${text(high80)}, 95% ${text(low95)} to ${text(high95)}`;
}
