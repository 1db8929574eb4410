/** The content of the latency chart: the newest requests, one after the other. */

import { duration, utc } from "../shared/format.js";

/** @typedef {import("../shared/api.js").LoggedRequest} LoggedRequest */

/**
 * @param {LoggedRequest[]} rows with a response time, oldest first
 * @returns {import("../chart/chart.js").Content}
 */
export function latencies(rows) {
  const values = rows.map((row) => Number(row.response_time) * 1000);
  const slowest = Math.max(...values);
  return {
    columns: [rows.map((_, index) => index - rows.length + 1), values],
    size: slowest,
    lines: (colour) => ({
      series: [{ stroke: colour("accent"), width: 1.5, points: { show: rows.length < 3, fill: colour("accent") } }],
      bands: [],
    }),
    axis: { label: "requests, the newest at 0", labelSize: 20, incrs: [1, 2, 5, 10, 20, 50], values: withMinus },
    scale: { range: [Math.min(-1, 1 - rows.length), 0] }, // also for one request
    priceScale: { range: [0, slowest * 1.1] },
    tell: ([index]) => tell(rows[Number(index) + rows.length - 1]),
    describe: () =>
      `Line chart of the latencies of the last ${rows.length} requests: the slowest took ${duration(slowest / 1000)}. ` +
      "The table has the newest of them.",
  };
}

/** @param {any} _ @param {number[]} numbers */
function withMinus(_, numbers) {
  return numbers.map((number) => String(number).replace("-", "−"));
}

/** @param {LoggedRequest} row */
function tell({ timestamp, response_time, status }) {
  return `${utc(new Date(timestamp))} UTC: ${duration(Number(response_time))}, status ${status ?? "unknown"}`;
}
