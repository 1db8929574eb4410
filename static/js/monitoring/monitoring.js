/** The Monitoring tab. It refreshes every five seconds while it is visible. */

import { monitor, ready } from "../shared/api.js";
import { askForKey, keepKey, keyHeader } from "../shared/apiKey.js";
import { createChart } from "../chart/chart.js";
import { chanceRange } from "../shared/chance.js";
import { age, decimals, duration, number, percent, priceFormat, utc } from "../shared/format.js";
import { told } from "../shared/sentences.js";
import { tableRow } from "../shared/table.js";
import { showCoverage } from "./coverage.js";
import { showDrift } from "./drift.js";
import { followModels } from "./models.js";
import { byId } from "../shared/dom.js";
import { t } from "../shared/texts.js";
import { drawChanges, latencies, periodName, rates } from "./timeline.js";

/** @typedef {import("../shared/api.js").Monitor} Monitor */
/** @typedef {import("../shared/api.js").LoggedRequest} LoggedRequest */

const PERIOD = 5000; // milliseconds from an answer to the next request
const LIMIT = 100; // requests to fetch from /monitor
const RATE_SECONDS = 60; // period for requests a second
const SHOWN_ROWS = 20; // in the table
const NONE = "–";
const ACCURACY_ADVICE = t(
  "A forecast counts once the same stock is asked for again with one more close: ask once after each trading day. Several stocks fill it sooner.",
);
const DRIFT_ADVICE = t(
  "Each new window of 60 closes that the default model forecasts adds its newest daily return: ask for other stocks, or again after the next trading day.",
);

const panel = byId("panel-monitoring");
const markChanges = (/** @type {any} */ plot) => drawChanges(plot, changes);
const rateChart = createChart(byId("rate-chart"), byId("rate-readout"), undefined, markChanges);
const latencyChart = createChart(byId("latency-chart"), byId("latency-readout"), undefined, markChanges);
let changes = /** @type {import("../shared/api.js").ModelChange[]} */ ([]); // of the model, in the charts
let timer = 0;
let asking = false;
let shownRows = ""; // the newest request that charts and table show

/** Refresh now, and repeat while the tab and the page are visible. */
export async function followMonitoring() {
  clearTimeout(timer);
  if (panel.hidden || document.hidden || asking) {
    return;
  }
  asking = true;
  const { monitorUrl, readyUrl, modelsUrl } = panel.dataset;
  const [state, model] = await Promise.all([monitor(`${monitorUrl}?limit=${LIMIT}`, keyHeader()), ready(readyUrl)]);
  asking = false;
  if (!state.ok && state.status === 401) {
    showProblem(t("The figures need the API key."));
    askForKey(followMonitoring);
    return;
  }
  if (state.ok) {
    keepKey();
    void followModels(modelsUrl); // the next refresh does not wait for it
    show(state.answer.content, state.answer.now);
    showProblem("");
  } else {
    showProblem(t("Could not refresh: {error} Trying again every {seconds} seconds.", { error: told(state.error), seconds: PERIOD / 1000 }));
  }
  showModel(model);
  timer = setTimeout(followMonitoring, PERIOD);
}

/** Show an error. Screen readers do not repeat an unchanged message. @param {string} message */
function showProblem(message) {
  const place = byId("monitoring-error");
  if (place.textContent !== message) {
    place.textContent = message;
  }
}

/**
 * @param {Monitor} content
 * @param {Date} now the server's time
 */
function show(content, now) {
  const { requests, workers, by_status, latency_seconds, live_accuracy, drift } = content.SUMMARY;
  const refused = countStatuses(by_status, 400, 499);
  const failed = countStatuses(by_status, 500, 599);
  put("refreshed", t("Refreshed at {time} UTC.", { time: utc(now) }));
  put("requests", number(requests));
  put("workers", workers === undefined ? NONE : number(workers));
  put("statuses", Object.entries(by_status).map(([status, count]) => `${status}: ${number(count)}`).join(", ") || NONE);
  put("errors", t("{failed} failed, {refused} refused", { failed, refused }));
  put("rate", requestRate(content.RESPONSES, now));
  for (const name of /** @type {const} */ (["p50", "p95", "p99"])) {
    put(name, latency_seconds ? duration(latency_seconds[name]) : NONE);
  }
  put("cpu", percent(content["CURRENT CPU"] / 100));
  put("memory", percent(content["MEMORY %"] / 100));
  showAccuracy(live_accuracy);
  put("drift", told(drift.verdict));
  put("drift-advice", drift.n < drift.needed ? DRIFT_ADVICE : "");
  showDrift(drift.histogram);
  showCoverage(live_accuracy.by_day);
  showRequests(content);
}

/** @param {Record<string, number>} counts by status @param {number} low @param {number} high */
function countStatuses(counts, low, high) {
  return Object.entries(counts).reduce((sum, [status, count]) => sum + (Number(status) >= low && Number(status) <= high ? count : 0), 0);
}

/**
 * Return requests a second over the last minute, or since the oldest known request if that is more recent.
 * @param {LoggedRequest[]} rows oldest first
 * @param {Date} now
 */
function requestRate(rows, now) {
  const ages = rows.map((row) => (now.getTime() - Date.parse(row.timestamp)) / 1000);
  const recent = ages.filter((seconds) => seconds <= RATE_SECONDS);
  const full = rows.length >= LIMIT && recent.length === rows.length;
  const span = full ? Math.max(1, ages[0]) : RATE_SECONDS;
  return t("{rate} over {seconds} s", { rate: number(recent.length / span, { maximumSignificantDigits: 2 }), seconds: Math.ceil(span) });
}

/** @param {import("../shared/api.js").Reply<import("../shared/api.js").Ready>} reply */
function showModel(reply) {
  if (!reply.ok) {
    put("version", NONE);
    put("age", NONE);
    put("model-problem", reply.status ? told(reply.error) : ""); // a missing answer is reported already
    return;
  }
  const { model_version, problem } = reply.answer;
  put("version", model_version);
  put("age", age(trainedAt(model_version)));
  put("model-problem", told(problem ?? ""));
}

/** Return when a model was trained, which is the beginning of its version. @param {string} version such as 20261123-155456-85c3c3 */
function trainedAt(version) {
  return new Date(version.replace(/^(....)(..)(..)-(..)(..)(..)-.*$/, "$1-$2-$3T$4:$5:$6Z"));
}

/** @param {import("../shared/api.js").LiveAccuracy} accuracy */
function showAccuracy(accuracy) {
  const { n, rmse, naive_rmse, verdict, by_symbol, caught_up } = accuracy;
  showSymbols(by_symbol);
  const enough = rmse !== null;
  byId("accuracy-table").hidden = !enough;
  put("coverage", enough ? told(verdict) : "");
  put("accuracy-advice", enough ? "" : ACCURACY_ADVICE);
  const reading = caught_up ? "" : t(" The log is still being read.");
  if (!enough) {
    put("accuracy", `${told(verdict)}${reading}`);
    return;
  }
  const days = (/** @type {number | null} */ error) => percent(Number(error), 2);
  put(
    "accuracy",
    t(
      "Of {n} forecasts, the close is known. The RMSE of their daily returns is {rmse}, that of persistence (repeating the last close) {naive}: " +
        "{ratio} times as large.",
      { n, rmse: days(rmse), naive: days(naive_rmse), ratio: decimals(Number(rmse) / Number(naive_rmse), 4) },
    ) + reading,
  );
  for (const level of /** @type {const} */ (["80", "95"])) {
    put(`coverage-${level}`, percent(Number(accuracy[`coverage_${level}`])));
    put(`chance-${level}`, chance(Number(level) / 100, n));
    put(`width-${level}`, percent(Number(accuracy[`mean_width_${level}`]), 2));
  }
}

/** The range of the coverage of right intervals, 19 times in 20. @param {number} level @param {number} n closes */
function chance(level, n) {
  const [low, high] = chanceRange(n, level);
  return t("{low} to {high}", { low: percent(low), high: percent(high) });
}

/** @param {Record<string, import("../shared/api.js").LiveFigures>} figures */
function showSymbols(figures) {
  const table = byId("symbols-table");
  const rows = Object.entries(figures);
  table.hidden = rows.length === 0;
  table.querySelector("tbody").replaceChildren(
    ...rows.map(([symbol, { n, rmse, naive_rmse, coverage_80, coverage_95 }]) => {
      const share = (/** @type {number | null} */ held) => (held === null ? NONE : percent(held));
      const ratio = rmse === null || !naive_rmse ? NONE : decimals(rmse / naive_rmse, 4);
      return tableRow(symbol, [number(n), share(coverage_80), share(coverage_95), ratio]);
    }),
  );
}

/** Update charts and table. Without a new request they stay unchanged, and with them what the user reads or points at. @param {Monitor} content */
function showRequests({ RESPONSES: rows, SUMMARY: { timeline } }) {
  const newest = JSON.stringify(rows[rows.length - 1] ?? null);
  if (newest === shownRows) {
    return;
  }
  shownRows = newest;
  byId("timeline").hidden = timeline.periods.length === 0;
  if (timeline.periods.length) {
    changes = timeline.changes ?? [];
    byId("changes-key").hidden = changes.length === 0;
    put("period", periodName(Number(timeline.period_seconds)));
    rateChart.show(rates(timeline));
    latencyChart.show(latencies(timeline));
  }
  byId("requests-table").querySelector("tbody").replaceChildren(...rows.slice(-SHOWN_ROWS).reverse().map(requestRow));
  byId("requests").hidden = rows.length === 0;
  byId("no-requests").hidden = rows.length > 0;
}

/** @param {LoggedRequest} row */
function requestRow(row) {
  const { last_close, predicted_price, low_80, high_80 } = row;
  const price = (/** @type {number | null} */ value) => (value === null || last_close === null ? NONE : priceFormat(last_close)(value));
  return tableRow(utc(new Date(row.timestamp)), [
    row.status ?? NONE,
    row.response_time === null ? NONE : duration(row.response_time),
    row.windows ?? NONE,
    row.symbol ?? NONE,
    row.model_symbol ?? NONE,
    price(last_close),
    price(predicted_price),
    low_80 === null ? NONE : t("{low} to {high}", { low: price(low_80), high: price(high_80) }),
  ]);
}

/** @param {string} name @param {string} text */
function put(name, text) {
  /** @type {HTMLElement} */ (panel.querySelector(`[data-monitor="${name}"]`)).textContent = text;
}

document.addEventListener("visibilitychange", followMonitoring);
