/** What the forecast's chart shows: the closes with the intervals of their days, and the forecast with its intervals as a fan. */

import { dateAxis } from "./dateAxis.js";
import { forecastLines, misses, tellForecast, tellMiss } from "./lines.js";
import { roomFor } from "./priceLine.js";
import { dayText, priceFormat, steps } from "../shared/format.js";
import { nt, t } from "../shared/texts.js";

const SHORTEST = 4; // days in the closest zoom
const DAY_AXIS = { label: t("closes from the last one"), labelSize: 20, incrs: [1, 2, 5, 10, 20, 50, 100], values: signed };

/** @typedef {import("../shared/api.js").Step} Step */
/** @typedef {import("./chart.js").Content} Content */
/** @typedef {import("./chart.js").Format} Format */

/**
 * @param {number[]} closes oldest first
 * @param {import("../shared/api.js").Answer} answer
 * @param {string[]} dates of the closes; empty if unknown
 * @param {import("../forecast/past.js").Past} past intervals of past days
 * @param {(step: number) => string} more says more about a day ahead
 * @returns {Content}
 */
export function fan(closes, { path, warnings }, dates, past, more) {
  return {
    columns: columns(closes, path, dates.map((date) => past.get(date))),
    size: closes[closes.length - 1],
    lines: forecastLines([1.5, 2]),
    axis: dates.length ? dateAxis(dates, path.map(({ date }) => date)) : DAY_AXIS,
    shortest: SHORTEST,
    padding: roomFor(priceFormat(closes[closes.length - 1], { grouping: false })(closes[closes.length - 1])),
    tell: (row, format) => tell(row, dates, path, format) + more(Number(row[0])),
    describe: (format) => describe(closes, path, steps(path.length, warnings), format),
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
 * x in trading days from the last close, and the columns of forecastLines. The fan starts at the last close.
 * @param {number[]} closes
 * @param {Step[]} path
 * @param {(number[] | undefined)[]} before the bounds of each past day, if known
 */
function columns(closes, path, before) {
  const past = closes.length - 1;
  const last = closes[past];
  const x = Array.from({ length: past + 1 + path.length }, (_, index) => index - past);
  const ahead = (/** @type {(step: Step) => number} */ value) => [...Array(past).fill(null), last, ...path.map(value)];
  const bound = (/** @type {number} */ place, /** @type {(step: Step) => number} */ value) =>
    ahead(value).map((price, index) => (index <= past ? (before[index]?.[place] ?? price) : price));
  const bounds = [
    bound(0, (step) => step.intervals["95"][1]),
    bound(1, (step) => step.intervals["95"][0]),
    bound(2, (step) => step.intervals["80"][1]),
    bound(3, (step) => step.intervals["80"][0]),
  ];
  const known = [...closes, ...Array(path.length).fill(null)];
  const inner = [ahead((step) => step.intervals["50"][1]), ahead((step) => step.intervals["50"][0])];
  return [x, ...bounds, known, ahead((step) => step.price), ...misses(known, bounds), ...inner];
}

/**
 * Days with their sign.
 * @param {any} _
 * @param {number[]} days
 */
function signed(_, days) {
  return days.map((day) => (day > 0 ? `+${day}` : String(day).replace("-", "−")));
}

/** A day without a date. @param {number} day from the last close */
function numbered(day) {
  if (day === 0) {
    return t("last close");
  }
  return day > 0
    ? nt("{count} close ahead", "{count} closes ahead", day)
    : nt("{count} close before the last", "{count} closes before the last", -day);
}

/**
 * The values of one day, in words.
 * @param {(number | null)[]} row
 * @param {string[]} dates
 * @param {Step[]} path
 * @param {Format} format
 */
function tell(row, dates, path, format) {
  const [day, , , high80, low80, close] = row;
  const date = dates[dates.length - 1 + Number(day)] ?? path[Number(day) - 1]?.date;
  const name = date ? dayText(date) : numbered(Number(day));
  if (close === null) {
    return `${name}: ${tellForecast(row, format)}`;
  }
  const [high, low] = [Number(high80), Number(low80)];
  const interval = low80 === null || high === low ? "" : t(", its 80% interval was {low} to {high}", { low: format(low), high: format(high) });
  return t("{day}: close {close}{interval}{miss}", { day: name, close: format(close), interval, miss: tellMiss(row) });
}

/**
 * The chart in a sentence.
 * @param {number[]} closes
 * @param {Step[]} path
 * @param {string} ahead the horizon in words
 * @param {Format} format
 */
function describe(closes, path, ahead, format) {
  const end = path[path.length - 1];
  return t(
    "Line chart of {count} closes from {first} to {last}, and of the forecast {steps} ahead: {price}, with its 80% and 95% intervals. " +
      "The table has the forecast's numbers.",
    { count: closes.length, first: format(closes[0]), last: format(closes[closes.length - 1]), steps: ahead, price: format(end.price) },
  );
}
