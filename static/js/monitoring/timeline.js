/** The contents of the charts of requests and of latency, over time. */

import { dayAndMonthText, duration, utc } from "../shared/format.js";
import { nt, t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").Timeline} Timeline */
/** @typedef {import("../shared/api.js").Period} Period */
/** @typedef {import("../shared/api.js").ModelChange} ModelChange */
/** @typedef {import("../chart/chart.js").Content} Content */

const HOUR = 3600; // seconds
const MINUTE = 60; // seconds
const DAY = 86_400; // seconds
const POINTS = { show: false };
const LONE_POINT = { show: true, size: 6 };

/** Name the length of a period. @param {number} seconds */
export function periodName(seconds) {
  if (seconds % DAY === 0) {
    return nt("a day", "in {count} days", seconds / DAY);
  }
  if (seconds % HOUR === 0) {
    return nt("an hour", "in {count} hours", seconds / HOUR);
  }
  return seconds % MINUTE === 0 ? nt("a minute", "in {count} minutes", seconds / MINUTE) : nt("a second", "in {count} seconds", seconds);
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
      nt("{time}: {count} request, {refused} refused, {failed} failed", "{time}: {count} requests, {refused} refused, {failed} failed", requests ?? 0, {
        time: moment(start),
        refused: refused ?? 0,
        failed: failed ?? 0,
      }) + changesIn(changes, start, period_seconds),
    describe: () =>
      t("Line chart of the requests {period}: at most {most}. The table has the newest of them.", { period: periodName(Number(period_seconds)), most }),
  };
}

/** The median and the 95th percentile of the latency. @param {Timeline} timeline @returns {Content} */
export function latencies({ periods, period_seconds, changes = [] }) {
  const milliseconds = (/** @type {number | null} */ seconds) => (seconds === null ? null : seconds * 1000);
  const slowest = Math.max(0.001, ...periods.map(({ p95 }) => (p95 ?? 0) * 1000));
  const text = (/** @type {number | null} */ value) => (value === null ? t("none answered") : duration(value / 1000));
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
    tell: ([start, p95, p50]) =>
      t("{time}: median {p50}, 95th percentile {p95}", { time: moment(start), p50: text(p50), p95: text(p95) }) + changesIn(changes, start, period_seconds),
    describe: () =>
      t("Line chart of the latency, median and 95th percentile {period}: at most {most}.", {
        period: periodName(Number(period_seconds)),
        most: duration(slowest / 1000),
      }),
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
  const labels = (/** @type {any} */ _, /** @type {number[]} */ splits) => {
    const end = splits.some((seconds) => seconds % MINUTE) ? 19 : 16; // with seconds, or without
    return splits.map((seconds) => new Date(seconds * 1000).toISOString()).map((iso) => (isLong ? dayAndMonthText(iso) : iso.slice(11, end)));
  };
  const axis = { space: 70, values: labels };
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
