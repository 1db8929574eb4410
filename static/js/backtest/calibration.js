/** The calibration chart of the Backtest tab: the level of each interval, and how often it held. */

import { createChart, percentLabels } from "../chart/chart.js";
import { csvOf } from "../shared/api.js";
import { symbolInAddress } from "../shared/address.js";
import { keyHeader } from "../shared/apiKey.js";
import { readBacktest } from "../shared/backtestCsv.js";
import { chanceRange } from "../shared/chance.js";
import { byId } from "../shared/dom.js";
import { number, percent } from "../shared/format.js";
import { write } from "../shared/prose.js";
import { told } from "../shared/sentences.js";
import { isSymbol } from "../shared/symbols.js";
import { tableRow } from "../shared/table.js";
import { t } from "../shared/texts.js";

/** @typedef {import("../chart/chart.js").Content} Content */
/** @typedef {{name: string, n: number, held: number[], low: number[], high: number[]}} Result  shares by level, in percent, and their range by chance */

const LEVELS = Array.from({ length: 50 }, (_, index) => 50 + index); // percent
const SHOWN = [50, 60, 70, 80, 90, 95, 99]; // in the table
const DAYS = 250; // of a symbol
const ROUNDING = 1e-9; // of a level's ends
const TITLE = { labelSize: 20 }; // pixels, of an axis

const section = byId("calibration"); // null if there is no model
const chart = section && createChart(byId("calibration-chart"), byId("calibration-readout"));
let tested = /** @type {Result | null} */ (null);
let asked = ""; // the symbol whose last days were requested

/**
 * Show the calibration of the published model.
 * @param {number[]} pit of its test days
 * @param {string} symbol that it was tested on
 */
export function showCalibration(pit, symbol) {
  tested = resultOf(t("Test days of {symbol}", { symbol }), pit);
  section.hidden = false;
  draw([tested]);
  void addSymbol();
}

/** Add the last days of the symbol in the page's address, unless they are shown. */
export async function addSymbol() {
  const symbol = symbolInAddress().toUpperCase();
  if (!tested || symbol === asked || !isSymbol(symbol)) {
    return;
  }
  asked = symbol;
  const url = `${byId("form").dataset.backtest}/${encodeURIComponent(symbol)}?days=${DAYS}&pit=1`;
  const reply = await csvOf(url, keyHeader());
  if (symbol !== asked) {
    return; // another symbol since
  }
  write(byId("calibration-problem"), reply.ok ? "" : t("The last days of {symbol} are not shown: {error}", { symbol, error: told(reply.error) }));
  if (reply.ok) {
    const [pit] = readBacktest(reply.answer.csv, ["pit"]).columns;
    draw([tested, resultOf(t("Last {days} days of {symbol}", { days: pit.length, symbol }), pit)]);
  } else {
    asked = "";
    draw([tested]);
  }
}

/** @param {string} name @param {number[]} pit @returns {Result} */
function resultOf(name, pit) {
  const distances = pit.map((value) => 200 * Math.abs(value - 0.5)); // a level's interval holds the closes up to this distance
  const ranges = LEVELS.map((level) => chanceRange(pit.length, level / 100).map((share) => 100 * share));
  return {
    name,
    n: pit.length,
    held: LEVELS.map((level) => (100 * distances.filter((distance) => distance <= level + ROUNDING).length) / pit.length),
    low: ranges.map(([low]) => low),
    high: ranges.map(([, high]) => high),
  };
}

/** @param {Result[]} results that of the test days first */
function draw(results) {
  const [, last] = results;
  chart.show(content(results));
  byId("calibration-words").textContent = results.map(sentence).join(" ");
  byId("calibration-last").hidden = !last;
  byId("calibration-last").textContent = last?.name ?? "";
  for (const head of /** @type {HTMLElement[]} */ ([...byId("calibration-table").querySelectorAll("[data-last]")])) {
    head.hidden = !last;
  }
  const cells = (/** @type {number} */ level) => results.flatMap((result) => [share(result.held, level), `${share(result.low, level)} – ${share(result.high, level)}`]);
  byId("calibration-table").querySelector("tbody").replaceChildren(...SHOWN.map((level) => tableRow(`${level}%`, cells(level))));
}

/** @param {number[]} shares @param {number} level */
function share(shares, level) {
  return percent(shares[LEVELS.indexOf(level)] / 100);
}

/** @param {Result} result */
function sentence({ name, n, held, low, high }) {
  const within = LEVELS.filter((_, index) => held[index] >= low[index] && held[index] <= high[index]).length;
  return t("{name}: on {n} days, {within} of the {levels} levels held as often as chance allows.", {
    name, n: number(n), within, levels: LEVELS.length,
  });
}

/** @param {Result[]} results @returns {Content} */
function content(results) {
  const none = LEVELS.map(() => null);
  const [days, last] = results;
  const { held, high, low } = last ?? { held: none, high: none, low: none };
  return {
    columns: [LEVELS, days.high, days.low, high, low, LEVELS, days.held, held],
    size: 100,
    lines: (colour) => {
      const points = { show: false };
      const line = (/** @type {string} */ name, /** @type {object} */ look = {}) => ({ stroke: colour(name), width: 2, points, ...look });
      const bound = { width: 0, points };
      return {
        series: [bound, bound, bound, bound, line("muted", { width: 1, dash: [4, 4] }), line("text"), line("accent")],
        bands: [
          { series: [1, 2], fill: colour("chance") },
          { series: [3, 4], fill: colour("band95") },
        ],
      };
    },
    axis: { ...TITLE, label: t("promised level"), incrs: [5, 10, 20], values: percentLabels },
    priceAxis: { ...TITLE, label: t("share of days held"), values: percentLabels },
    priceScale: { range: [Math.floor(Math.min(...results.flatMap((result) => [...result.low, ...result.held]))), 100] },
    tell: ([level]) => results.map((result) => `${level}%: ${tell(result, Number(level))}`).join("; "),
    describe: () => [t("Line chart of how often the interval of each level from 50% to 99% held."), ...results.map(sentence)].join(" "),
  };
}

/** @param {Result} result @param {number} level */
function tell(result, level) {
  return t("{name} {held}, by chance {low} to {high}", {
    name: result.name, held: share(result.held, level), low: share(result.low, level), high: share(result.high, level),
  });
}
