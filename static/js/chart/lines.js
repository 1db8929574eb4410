/** The lines of a chart of closes, forecasts and intervals. */

import { t } from "../shared/texts.js";

/** @typedef {import("./chart.js").Content} Content */
/** @typedef {import("./chart.js").Format} Format */

const DOT = 6; // pixels, of a close outside its interval

/**
 * uPlot's options of these columns: the 95% interval's upper and lower bound, the 80% interval's, closes, forecasts, the closes outside the
 * 80% interval alone, those outside the 95% interval, the 50% interval's upper and lower bound.
 * @param {[number, number]} widths of closes and of forecasts, in pixels; 0: not drawn
 * @returns {Content["lines"]}
 */
export function forecastLines([closes, forecasts]) {
  const points = { show: false };
  const bound = { width: 0, points };
  const dots = (/** @type {object} */ look) => ({ paths: () => null, points: { show: true, size: DOT, width: 1.5, ...look } });
  return (colour) => ({
    series: [
      ...[bound, bound, bound, bound],
      { stroke: colour("text"), width: closes, points },
      { stroke: colour("accent"), width: forecasts, points },
      dots({ stroke: colour("error"), fill: colour("panel") }),
      dots({ stroke: colour("error"), fill: colour("error") }),
      ...[bound, bound],
    ],
    bands: [
      { series: [1, 2], fill: colour("band95") },
      { series: [3, 4], fill: colour("band80") },
      { series: [9, 10], fill: colour("band80") },
    ],
  });
}

/**
 * Return the closes outside the 80% interval alone, and those outside the 95% interval; null for the others.
 * @param {(number | null)[]} closes
 * @param {(number | null)[][]} bounds upper and lower bound of the 95% interval, then of the 80% interval
 * @returns {(number | null)[][]}
 */
export function misses(closes, [high95, low95, high80, low80]) {
  const isOutside = (/** @type {number} */ day, /** @type {(number | null)[]} */ high, /** @type {(number | null)[]} */ low) => {
    const close = closes[day];
    return close !== null && high[day] !== null && (close > Number(high[day]) || close < Number(low[day]));
  };
  const outer = closes.map((close, day) => (isOutside(day, high95, low95) ? close : null));
  return [closes.map((close, day) => (outer[day] === null && isOutside(day, high80, low80) ? close : null)), outer];
}

/**
 * A forecast's values, in words.
 * @param {(number | null)[]} row x, and the columns of forecastLines
 * @param {Format} format
 */
export function tellForecast([, high95, low95, high80, low80, , price], format) {
  const text = (/** @type {number | null} */ value) => format(Number(value));
  return t("{price}, 80% {low80} to {high80}, 95% {low95} to {high95}", {
    price: text(price),
    low80: text(low80),
    high80: text(high80),
    low95: text(low95),
    high95: text(high95),
  });
}

/** Which interval a close missed, in words. @param {(number | null)[]} row as in tellForecast */
export function tellMiss(row) {
  if (Number.isFinite(row[8] ?? NaN)) {
    return t(", outside the 95% interval");
  }
  return Number.isFinite(row[7] ?? NaN) ? t(", outside the 80% interval") : "";
}
