/** The chart of drift: the daily returns of the requests against those of the training, as two step histograms. */

import { createChart, percentLabels } from "../chart/chart.js";
import { byId } from "../shared/dom.js";
import { decimals, number, percent } from "../shared/format.js";
import { tableRow } from "../shared/table.js";
import { t } from "../shared/texts.js";

/** @typedef {{edges: number[], now: number[], trained: number[]}} Histogram  log returns between the bins, and the share of each bin */
/** @typedef {import("../chart/chart.js").Content} Content */

const uPlot = /** @type {any} */ (globalThis).uPlot; // vendor/uplot

const figure = byId("drift-figure");
const chart = createChart(byId("drift-chart"), byId("drift-readout"));
let shown = "";

/** Draw the histogram, unless it is drawn. @param {Histogram | null | undefined} histogram null: too few returns */
export function showDrift(histogram) {
  const text = JSON.stringify(histogram ?? null);
  if (text === shown) {
    return;
  }
  shown = text;
  figure.hidden = !histogram;
  if (histogram) {
    chart.show(content(histogram));
    const rows = histogram.now.map((share, bin) => tableRow(nameOf(histogram, bin), [percent(share), percent(histogram.trained[bin])]));
    byId("drift-bins").querySelector("tbody").replaceChildren(...rows);
  }
}

/** @param {Histogram} histogram @returns {Content} */
function content({ edges, now, trained }) {
  const last = now.length - 1;
  const steps = (/** @type {number[]} */ shares) => [...shares, shares[last]].map((share) => 100 * share); // the last step has its end too
  const most = 100 * Math.max(...now, ...trained);
  return {
    columns: [edges.map((edge) => 100 * edge), steps(trained), steps(now)],
    size: 100,
    lines: (colour) => {
      const step = { paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } };
      return {
        series: [
          { ...step, stroke: colour("muted"), fill: colour("chance"), width: 1 },
          { ...step, stroke: colour("accent"), width: 2 },
        ],
        bands: [],
      };
    },
    axis: { space: 60, values: (/** @type {any} */ _, /** @type {number[]} */ returns) => returns.map((value) => `${signed(value)}%`) },
    scale: { range: [100 * edges[0], 100 * edges[last + 1]] },
    priceScale: { range: [0, most * 1.1] },
    priceAxis: { values: percentLabels },
    tell: ([start]) => tell({ edges, now, trained }, Math.min(last, edges.findIndex((edge) => 100 * edge === start))),
    describe: () => t("Two histograms of daily returns, now and in the training data, in {count} bins from {low} to {high}. The table has the numbers.", {
      count: now.length, low: percent(edges[0]), high: percent(edges[last + 1]),
    }),
  };
}

/** The returns of a bin. @param {Histogram} histogram @param {number} bin */
function nameOf({ edges, now }, bin) {
  const [low, high] = [edges[bin], edges[bin + 1]].map((edge) => `${signed(100 * edge, 1)}%`);
  return bin === 0 ? t("under {high}", { high }) : bin === now.length - 1 ? t("over {low}", { low }) : t("{low} to {high}", { low, high });
}

/** One bin in words. @param {Histogram} histogram @param {number} bin */
function tell(histogram, bin) {
  return t("{name}: now {now} of the days, in training {trained}", {
    name: nameOf(histogram, bin), now: percent(histogram.now[bin]), trained: percent(histogram.trained[bin]),
  });
}

/** @param {number} value @param {number} [digits] */
function signed(value, digits) {
  const size = digits === undefined ? number(Math.abs(value)) : decimals(Math.abs(value), digits);
  return value < 0 ? `−${size}` : size;
}
