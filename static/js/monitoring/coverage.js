/** Live coverage over time: the share of the closes of the last days that each interval held, and what it promises. */

import { createChart, percentLabels } from "../chart/chart.js";
import { chanceRange } from "../shared/chance.js";
import { byId } from "../shared/dom.js";
import { dayAndMonthText, dayText, isoDate, number, percent } from "../shared/format.js";
import { tableRow } from "../shared/table.js";
import { t } from "../shared/texts.js";

/** @typedef {{date: string, n: number, held_80: number, held_95: number}} LiveDay */
/** @typedef {LiveDay & {days: number}} Part  the sums over some days up to a date */
/** @typedef {import("../chart/chart.js").Content} Content */

const SPAN = 20; // days with closes that a point of the chart sums
const NEEDED = 20; // closes of a point
const LEAST = 2; // points of a line
const DAY = 86_400; // seconds

const figure = byId("coverage-figure");
const chart = createChart(byId("coverage-chart"), byId("coverage-readout"));
let shown = "";

/** Draw the days, unless they are drawn. @param {LiveDay[] | undefined} days oldest first */
export function showCoverage(days = []) {
  const text = JSON.stringify(days);
  if (text === shown) {
    return;
  }
  shown = text;
  const parts = sums(days).filter(({ n }) => n >= NEEDED);
  figure.hidden = parts.length < LEAST;
  if (parts.length >= LEAST) {
    chart.show(content(parts));
    const rows = [...days].reverse().map(({ date, n, held_80, held_95 }) => tableRow(dayText(date), [number(n), percent(held_80 / n), percent(held_95 / n)]));
    byId("coverage-days").querySelector("tbody").replaceChildren(...rows);
  }
}

/** The sums over the last days up to each day. @param {LiveDay[]} days @returns {Part[]} */
function sums(days) {
  return days.map(({ date }, index) => {
    const part = days.slice(Math.max(0, index + 1 - SPAN), index + 1);
    const sum = (/** @type {"n" | "held_80" | "held_95"} */ name) => part.reduce((total, day) => total + day[name], 0);
    return { date, days: part.length, n: sum("n"), held_80: sum("held_80"), held_95: sum("held_95") };
  });
}

/** @param {Part[]} parts @returns {Content} */
function content(parts) {
  const shares = (/** @type {"held_80" | "held_95"} */ name) => parts.map((part) => (100 * part[name]) / part.n);
  const ranges = (/** @type {number} */ level, /** @type {0 | 1} */ end) => parts.map(({ n }) => 100 * chanceRange(n, level)[end]);
  const [low80, high80, low95, high95] = [ranges(0.8, 0), ranges(0.8, 1), ranges(0.95, 0), ranges(0.95, 1)];
  const [held80, held95] = [shares("held_80"), shares("held_95")];
  const least = Math.min(...low80, ...held80, ...held95);
  return {
    columns: [
      parts.map(({ date }) => Date.parse(date) / 1000), high95, low95, high80, low80,
      parts.map(() => 95), parts.map(() => 80), held95, held80,
    ],
    size: 100,
    lines: (colour) => {
      const points = { show: false };
      const bound = { width: 0, points };
      const promise = { stroke: colour("muted"), width: 1, dash: [4, 4], points };
      return {
        series: [
          bound, bound, bound, bound, promise, promise,
          { stroke: colour("text"), width: 2, points }, { stroke: colour("accent"), width: 2, points },
        ],
        bands: [
          { series: [1, 2], fill: colour("chance") },
          { series: [3, 4], fill: colour("band95") },
        ],
      };
    },
    axis: { space: 80, incrs: [DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY], values: (/** @type {any} */ _, /** @type {number[]} */ times) => times.map((time) => dayAndMonthText(isoDate(time))) },
    scale: { time: true },
    priceScale: { range: [Math.max(0, 5 * Math.floor(least / 5)), 101] },
    priceAxis: { values: percentLabels },
    tell: ([time, h95, l95, h80, l80, , , of95, of80]) =>
      t("{day}, over {span} days: 80% held {of80} (by chance {l80} to {h80}), 95% held {of95} (by chance {l95} to {h95})", {
        day: dayText(isoDate(Number(time))), span: parts.find(({ date }) => date === isoDate(Number(time)))?.days ?? SPAN,
        ...Object.fromEntries(Object.entries({ of80, l80, h80, of95, l95, h95 }).map(([name, share]) => [name, percent(Number(share) / 100)])),
      }),
    describe: () =>
      t("Line chart of the coverage of the 80% and the 95% interval over the last {span} days with closes, from {first} to {last}. The table has each day.", {
        span: SPAN, first: dayText(parts[0].date), last: dayText(parts[parts.length - 1].date),
      }),
  };
}
