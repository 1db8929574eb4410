/** A question about closes that the user brings: POST /predict as text/csv, and the answer. */

import { predictFile } from "../shared/api.js";
import { askServer } from "../shared/ask.js";
import { byId } from "../shared/dom.js";
import { daysAfter } from "./days.js";
import { LEVELS } from "./levels.js";
import { ownOrigin } from "./origin.js";
import { showOutput } from "./output.js";
import { sentences } from "./reading.js";
import { retryAdvice } from "../shared/messages.js";
import { told } from "../shared/sentences.js";
import { nt, t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").FileAnswer} FileAnswer */
/** @typedef {import("./priceFile.js").Source} Source */

const HORIZON = 20;
const SHOWN_CLOSES = 250; // in the chart

const form = byId("form");

/**
 * @param {Source} given
 * @param {Record<string, string>} options query parameters of a price file; empty ones are left out
 * @param {object} callbacks
 * @param {() => void} callbacks.again asks once more, with an API key
 * @param {(reading: string[]) => void} callbacks.succeed gets how the closes were read
 * @param {(problems: string[], error: string) => void} callbacks.refuse error: as the server said it with its details, in English
 */
export async function askAboutCloses(given, options, { again, succeed, refuse }) {
  const chosen = Object.entries(options).filter(([, value]) => value);
  const url = `${form.action}?${new URLSearchParams([["horizon", String(HORIZON)], ["closes", String(SHOWN_CLOSES)], ...chosen])}&levels=${LEVELS}`;
  await askServer({
    progress: given.name ? t("Reading {name} …", { name: given.name }) : t("Reading the closes …"),
    send: (headers) => predictFile(url, given.content, headers),
    again,
    succeed({ answer }, headers) {
      const { notes, ...told } = ownOrigin(answer);
      show(answer, told, given, url, options.symbol, headers);
      succeed([...sentences(answer, given.name), ...notes]);
    },
    fail: (reply) => refuse(failure(reply), [reply.error, ...reply.details].join(" ")),
  });
}

/**
 * @param {FileAnswer} answer
 * @param {import("./origin.js").Told} told
 * @param {Source} given
 * @param {string} url
 * @param {string} symbol whose model was asked for; empty: the default one
 * @param {string[]} headers
 */
function show(answer, told, given, url, symbol, headers) {
  const { closes, dates, used, columns } = answer;
  const isList = !given.name && !columns.open; // the call needs no file
  const levels = LEVELS.split(",").map(Number);
  const body = isList ? { predict: closes.slice(-used), horizon: HORIZON, levels, ...(symbol && { symbol }) } : undefined;
  const call = { url: isList ? form.action : url, headers, body, content: given.content, file: given.name || "closes.csv" };
  const isDaily = !answer.warnings.some(({ code }) => code === "not_daily");
  const days = isDaily ? daysAfter(dates, answer.path.length) : [];
  const path = answer.path.map((step, index) => (days[index] ? { ...step, date: days[index] } : step));
  showOutput({ answer: { ...answer, path }, closes, dates, symbol: "", ...told, call });
}

/** Return the label of a field, without the parameter after it. @param {string} id */
function labelOf(id) {
  return /** @type {HTMLElement} */ (document.querySelector(`label[for="${id}"] span`)).textContent;
}

/** Return why there is no forecast, and the first of its details, in two lines. @param {import("../shared/api.js").Failure} failure */
function failure({ error, details: [first = "", ...more], retryAfter }) {
  const others = more.length ? nt(" (and {count} more)", " (and {count} more)", more.length) : "";
  const [, parameter] = /: (symbol|column)=.+\.$/.exec(first) ?? []; // that the server's advice names
  const detail = parameter ? t("Choose one in “{field}”.", { field: labelOf(`file-${parameter}`) }) : told(first);
  return [told(error), first ? `${detail}${others}` : retryAdvice(retryAfter)].filter(Boolean);
}
