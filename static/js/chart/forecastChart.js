/** What the forecast's chart shows: the closes, and the forecast with its intervals as a fan. */

import { forecastLines, tellForecast } from "./chart.js";
import { dateAxis } from "./dateAxis.js";

const SHORTEST = 4; // days in the closest zoom
const DAY_AXIS = { label: "trading days from the last close", labelSize: 20, incrs: [1, 2, 5, 10, 20, 50, 100], values: signed };

/** @typedef {import("../shared/api.js").Step} Step */
/** @typedef {import("./chart.js").Content} Content */
/** @typedef {import("./chart.js").Format} Format */

/**
 * @param {number[]} closes oldest first
 * @param {Step[]} path
 * @param {string[]} dates of the closes; empty if unknown
 * @returns {Content}
 */
export function fan(closes, path, dates) {
  return {
    columns: columns(closes, path),
    size: closes[closes.length - 1],
    lines: forecastLines([1.5, 2]),
    axis: dates.length ? dateAxis(dates, path.length) : DAY_AXIS,
    shortest: SHORTEST,
    tell: (row, format) => tell(row, dates, format),
    describe: (format) => describe(closes, path, format),
  };
}

/**
 * The range of days to show: this number of days before the last close, and the whole forecast.
 * @param {string} period empty: all
 * @param {number} closes how many there are
 * @param {number} horizon
 * @returns {[number, number] | null} null if there are fewer days
 */
export function daysOf(period, closes, horizon) {
  const past = Number(period) || closes - 1;
  return past < closes ? [-past, horizon] : null;
}

/**
 * x in trading days from the last close, the bounds, closes and forecast. The fan starts at the last close.
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
 * Days with their sign.
 * @param {any} _
 * @param {number[]} days
 */
function signed(_, days) {
  return days.map((day) => (day > 0 ? `+${day}` : String(day).replace("-", "−")));
}

/**
 * The values of one day, in words.
 * @param {(number | null)[]} row
 * @param {string[]} dates
 * @param {Format} format
 */
function tell(row, dates, format) {
  const [day, , , , , close] = row;
  const name = dates[dates.length - 1 + Number(day)] ?? `day ${signed(null, [Number(day)])}`;
  return close === null ? `${name}: ${tellForecast(row, format)}` : `${name}: close ${format(close)}`;
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
