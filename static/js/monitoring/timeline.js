/** The contents of the charts of requests and of latency, over time. */

import { duration, utc } from "../shared/format.js";
import { t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").Timeline} Timeline */
/** @typedef {import("../shared/api.js").Period} Period */
/** @typedef {import("../shared/api.js").ModelChange} ModelChange */
/** @typedef {import("../chart/chart.js").Content} Content */

const UNITS = /** @type {[string, number][]} */ ([["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]]);
const DAY = 86_400; // seconds
const POINTS = { show: false };
const LONE_POINT = { show: true, size: 6 };

/** Name the length of a period. @param {number} seconds */
export function periodName(seconds) {
  const [unit, size] = UNITS.find(([, length]) => seconds >= length && seconds % length === 0) ?? UNITS[3];
  const count = seconds / size;
  return count === 1 ? `a ${unit}`.replace("a hour", "an hour") : `in ${count.toLocaleString("en")} ${unit}s`;
}

/** The numbers of requests, of refused and of failed ones. @param {Timeline} timeline @returns {Content} */
export function rates({ periods, period_seconds, changes = [] }) {
  const most = Math.max(...periods.map(({ requests }) => requests));
  return {
    ...common(periods),
    columns: [
      starts(periods),
      periods.map(({ requests }) => requests),
      periods.map(({ refused }) => refused),
      periods.map(({ failed }) => failed || null), // zero would cover the axis
    ],
    size: Math.max(100, most),
    lines: (colour) => ({
      series: [
        { stroke: colour("accent"), width: 2, points: pointsOf(periods) },
        { stroke: colour("muted"), width: 1.5, dash: [4, 3], points: POINTS },
        { stroke: colour("error"), width: 2, points: LONE_POINT },
      ],
      bands: [],
    }),
    priceScale: { range: [0, most * 1.1] },
    tell: ([start, requests, refused, failed]) =>
      `${moment(start)}: ${requests} requests, ${refused} refused, ${failed ?? 0} failed${changesIn(changes, start, period_seconds)}`,
    describe: () => `Line chart of the requests ${periodName(Number(period_seconds))}: at most ${most}. The table has the newest of them.`,
  };
}

/** The median and the 95th percentile of the latency. @param {Timeline} timeline @returns {Content} */
export function latencies({ periods, period_seconds, changes = [] }) {
  const milliseconds = (/** @type {number | null} */ seconds) => (seconds === null ? null : seconds * 1000);
  const slowest = Math.max(0.001, ...periods.map(({ p95 }) => (p95 ?? 0) * 1000));
  const text = (/** @type {number | null} */ value) => (value === null ? "none answered" : duration(value / 1000));
  return {
    ...common(periods),
    columns: [starts(periods), periods.map(({ p95 }) => milliseconds(p95)), periods.map(({ p50 }) => milliseconds(p50))],
    size: slowest,
    lines: (colour) => ({
      series: [
        { stroke: colour("text"), width: 1.5, points: LONE_POINT }, // a period without requests is a gap
        { stroke: colour("accent"), width: 2, points: LONE_POINT },
      ],
      bands: [],
    }),
    priceScale: { range: [0, slowest * 1.1] },
    tell: ([start, p95, p50]) => `${moment(start)}: median ${text(p50)}, 95th percentile ${text(p95)}${changesIn(changes, start, period_seconds)}`,
    describe: () =>
      `Line chart of the latency, median and 95th percentile ${periodName(Number(period_seconds))}: at most ${duration(slowest / 1000)}.`,
  };
}

/**
 * Draw a line at each time when another version of the model began to answer.
 * @param {any} plot uPlot's object
 * @param {ModelChange[]} changes
 */
export function drawChanges({ ctx, bbox, valToPos, scales, root }, changes) {
  const { min, max } = scales.x;
  ctx.save();
  ctx.strokeStyle = getComputedStyle(root).getPropertyValue("--text");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { at } of changes) {
    const seconds = Math.min(max, Math.max(min, Date.parse(at) / 1000)); // the last period ends after its start
    const x = Math.round(valToPos(seconds, "x", true)) + devicePixelRatio / 2; // a sharp line
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** The changes of the model in a period, in words; empty without one. @param {ModelChange[]} changes @param {number | null} start @param {number | null} length */
function changesIn(changes, start, length) {
  const within = changes.filter(({ at }) => Date.parse(at) / 1000 >= Number(start) && Date.parse(at) / 1000 < Number(start) + Number(length));
  return within.map(({ at, model_version }) => t(", model {version} from {time}", { version: model_version, time: utc(new Date(at)).slice(11) })).join("");
}

/** @param {Period[]} periods */
function common(periods) {
  const [first, last] = [starts(periods)[0], starts(periods)[periods.length - 1]];
  const margin = first === last ? 1 : 0; // a single period has a width too
  const isLong = last - first > 2 * DAY;
  const label = (/** @type {number} */ seconds) => new Date(seconds * 1000).toISOString().slice(...(isLong ? [5, 10] : [11, 16]));
  const axis = { space: 70, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map(label) };
  return { axis, scale: { time: true, range: [first - margin, last + margin] } };
}

/** @param {Period[]} periods */
function starts(periods) {
  return periods.map(({ start }) => Date.parse(start) / 1000);
}

/** Points where a line has too few to be seen. @param {Period[]} periods */
function pointsOf(periods) {
  return periods.length < 3 ? LONE_POINT : POINTS;
}

/** @param {number | null} seconds */
function moment(seconds) {
  return `${utc(new Date(Number(seconds) * 1000))} UTC`;
}
