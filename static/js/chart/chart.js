/** A chart drawn with uPlot in the page's colours, above all of closes, forecasts and their intervals. */

import { number, priceFormat } from "../shared/format.js";
import { hideReadout, showReadout, startKeys } from "./readout.js";

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
 * @property {object} [priceAxis] uPlot's options of the y axis, in place of prices
 * @property {object} [padding] uPlot's option of the same name
 * @property {number} [shortest] the closest that dragging zooms in, in units of x; without it, dragging does not zoom
 * @property {(row: (number | null)[], format: Format) => string} tell the values of one x, in words
 * @property {(format: Format) => string} describe the chart in a sentence
 */

const uPlot = /** @type {any} */ (globalThis).uPlot; // vendor/uplot, loaded before this module

/**
 * A chart that fills its host's width and follows its size and the colour scheme.
 * @param {HTMLElement} host
 * @param {HTMLElement} readout shows the values at the cursor; it follows the host in an element that it is placed in
 * @param {(min: number, max: number) => void} [onRange] called with the range of x whenever it changes
 * @param {(plot: any) => void} [onDraw] called with uPlot's object whenever it is drawn
 */
export function createChart(host, readout, onRange, onDraw) {
  let plot = /** @type {any} */ (null);
  let redraw = () => {};
  const area = () => ({ width: host.clientWidth, height: host.clientHeight });

  startKeys(host, () => plot);
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
        hideReadout(readout);
        const all = { ...hooks(content, format, readout, onRange), ready: [() => markDrawn(host.id)], draw: [onDraw ?? (() => {})] };
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
function options(host, { size, lines, axis, scale, priceScale = {}, priceAxis = {}, padding, shortest }) {
  const style = getComputedStyle(host);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const font = `12px ${style.fontFamily}`;
  const axes = { stroke: colour("muted"), font, labelFont: font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const format = priceFormat(size, { trailingZeros: false });
  const { series, bands } = lines(colour);
  return {
    legend: { show: false },
    ...(padding && { padding }),
    tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"), // days are the same in every time zone
    cursor: {
      y: false,
      drag: { x: shortest !== undefined, y: false, dist: 8 },
      points: { show: false },
      bind: { mouseleave: unlessTouched },
    },
    scales: { x: { time: false, ...(shortest && { range: atLeast(shortest) }), ...scale }, y: priceScale },
    axes: [
      { ...axes, size: 28, ...axis },
      { ...axes, size: widest, values: (/** @type {any} */ _, /** @type {number[]} */ prices) => prices.map(format), ...priceAxis },
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

/** Set a mark in the browser's performance timeline that a chart is drawn (benchmarks/benchPage.py reads it). @param {string} id of its host */
function markDrawn(id) {
  performance.clearMarks(id);
  performance.mark(id);
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
      (/** @type {any} */ plot) => {
        const { idx } = plot.cursor;
        if (Number.isInteger(idx)) {
          showReadout(readout, plot, tell(columns.map((column) => column[idx]), format));
        } else {
          hideReadout(readout);
        }
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

/** Labels of an axis in percent. @param {any} _ @param {number[]} shares in percent */
export function percentLabels(_, shares) {
  return shares.map((share) => number(share / 100, { style: "percent", maximumFractionDigits: 1 }));
}

/**
 * Room for the widest label of the price axis, in pixels.
 * @param {any} _
 * @param {string[] | null} labels
 */
function widest(_, labels) {
  return 14 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length));
}
