/** The Backtest tab: the close of each day with its forecast and intervals. The file is fetched when the tab is first shown. */

import { csvOf } from "../shared/api.js";
import { readBacktest } from "../shared/backtestCsv.js";
import { createChart } from "../chart/chart.js";
import { forecastLines, misses, tellForecast, tellMiss } from "../chart/lines.js";
import { startPeriods } from "../chart/periods.js";
import { byId } from "../shared/dom.js";
import { dayText, isoDate, monthName } from "../shared/format.js";
import { write } from "../shared/prose.js";
import { told } from "../shared/sentences.js";
import { t } from "../shared/texts.js";
import { addSymbol, showCalibration } from "./calibration.js";

/** @typedef {import("../chart/chart.js").Content} Content */

const COLUMNS = ["high_95", "low_95", "high_80", "low_80", "actual", "predicted", "pit"];
const DAY = 86400; // seconds
const MONTH = 30 * DAY; // as in uPlot
const YEAR = 365 * DAY;
const SHORTEST = 14 * DAY; // the closest zoom
const STEPS = [DAY, 2 * DAY, 7 * DAY, 14 * DAY, MONTH, 2 * MONTH, 3 * MONTH, 6 * MONTH, YEAR, 2 * YEAR, 5 * YEAR, 10 * YEAR];

const figure = byId("backtest-figure"); // null if there is no model
const markPeriod = startPeriods(/** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("#backtest-periods button")]), bounds, (min, max) => chart.zoom(min, max));
const chart = figure && createChart(byId("backtest-chart"), byId("backtest-readout"), markPeriod);
let days = /** @type {number[]} */ ([]); // UTC midnights in seconds, oldest first
let loading = false;

/** Fetch and draw the backtest, unless it is drawn already. */
export async function loadBacktest() {
  if (days.length) {
    void addSymbol(); // another may be shown since
  }
  if (!figure || loading || days.length) {
    return;
  }
  loading = true;
  figure.setAttribute("aria-busy", "true");
  const reply = await csvOf(`${byId("backtest-csv").href}?pit=1`);
  figure.removeAttribute("aria-busy");
  loading = false;
  const { version, symbol } = figure.dataset;
  if (!reply.ok) {
    showError(told(reply.error));
  } else if (reply.answer.etag && !reply.answer.etag.includes(version)) {
    showError(t("Another model was published since this page was loaded. Load the page again to see its backtest."));
  } else {
    showError("");
    const { dates, columns } = readBacktest(reply.answer.csv, COLUMNS);
    const pit = /** @type {number[]} */ (columns.pop());
    days = dates.map((date) => Date.parse(date) / 1000);
    chart.show(content([days, ...columns], symbol));
    showCalibration(pit, symbol);
  }
}

/** @param {string} message empty if there is no problem */
function showError(message) {
  write(byId("backtest-error"), message);
  figure.hidden = message !== "";
}

/**
 * @param {number[][]} columns
 * @param {string} symbol
 * @returns {Content}
 */
function content(columns, symbol) {
  const closes = columns[5];
  const none = closes.map(() => null); // the backtest has no 50% interval
  return {
    columns: [...columns, ...misses(closes, columns.slice(1, 5)), none, none],
    size: closes[closes.length - 1],
    lines: forecastLines([1, 0]),
    axis: { space: 90, incrs: STEPS, values: dateLabels },
    scale: { time: true },
    shortest: SHORTEST,
    tell: (row, format) =>
      t("{day}: close {close}, forecast {forecast}{miss}", {
        day: dayText(isoDate(Number(row[0]))),
        close: format(Number(row[5])),
        forecast: tellForecast(row, format),
        miss: tellMiss(row),
      }),
    describe: () =>
      t(
        "Line chart of {count} closes of {symbol} from {first} to {last}, of the 80% and 95% intervals of each, with the closes outside them " +
          "marked. The tables say how often the intervals held, the CSV file has all numbers.",
        { count: closes.length, symbol, first: dayText(isoDate(days[0])), last: dayText(isoDate(days[days.length - 1])) },
      ),
  };
}

/**
 * Return the labels of the x axis: months, or days after zooming in.
 * @param {any} _
 * @param {number[]} splits
 * @param {number} __
 * @param {number} ___
 * @param {number} step
 */
function dateLabels(_, splits, __, ___, step) {
  const month = (/** @type {Date} */ date) => `${monthName(date)} ${date.getUTCFullYear()}`;
  return splits.map((seconds) => (step < MONTH ? dayText(isoDate(seconds)) : month(new Date(seconds * 1000))));
}

/** @param {string} period a year; empty: all days @returns {[number, number] | null} its first and last day, in seconds */
function bounds(period) {
  const shown = period ? days.filter((day) => isoDate(day).startsWith(period)) : days;
  return shown.length ? [shown[0], shown[shown.length - 1]] : null;
}
