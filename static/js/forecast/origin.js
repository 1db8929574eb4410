/** The last close, its day and its source, in one sentence. The answer's warnings do not repeat it. */

import { dayText, daysAhead, priceFormat } from "../shared/format.js";
import { told } from "../shared/sentences.js";
import { nt, t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").SymbolAnswer} SymbolAnswer */
/** @typedef {import("../shared/api.js").SeriesWarning} SeriesWarning */

/**
 * @typedef {object} Origin
 * @property {string} origin a sentence
 * @property {boolean} isOld whether the server warns that the closes are old
 *
 * @typedef {Origin & {warnings: SeriesWarning[]}} Told  warnings: those that the sentence does not cover
 */

const SOURCES = { yahoo: t("Yahoo Finance"), cache: t("an earlier download from Yahoo Finance"), snapshot: t("the embedded snapshot") };

/**
 * Return the origin of a symbol's closes, and the warnings that it does not cover.
 * @param {SymbolAnswer} answer
 * @returns {Told}
 */
export function originOf({ last_close, as_of, source, warnings }) {
  const isOld = warnings.some((warning) => warning.code === "old_data");
  return {
    origin: t("Last close {close} on {day}{age}, from {source}.", {
      close: priceFormat(last_close)(last_close),
      day: dayText(as_of),
      age: isOld ? daysAgo(as_of) : "",
      source: SOURCES[source] ?? source,
    }),
    isOld,
    warnings: warnings.filter((warning) => warning.code !== "old_data"),
  };
}

/**
 * Return the origin of closes that the user brought, what to note about how they were read, and the other warnings.
 * @param {import("../shared/api.js").FileAnswer} answer
 * @returns {Told & {notes: string[]}}
 */
export function ownOrigin({ last_close, as_of, warnings }) {
  const isOld = warnings.some((warning) => warning.code === "old_data");
  return {
    origin: as_of
      ? t("Last close {close} on {day}{age}.", { close: priceFormat(last_close)(last_close), day: dayText(as_of), age: daysAgo(as_of) })
      : t("Last close {close}.", { close: priceFormat(last_close)(last_close) }),
    isOld,
    warnings: warnings.filter(({ code }) => code !== "old_data" && code !== "unknown_dates"),
    notes: warnings.filter(({ code }) => code === "unknown_dates").map(({ text }) => told(text)),
  };
}

/** Say how many days ago a day was, in UTC; nothing for a day in the future. @param {string} date */
function daysAgo(date) {
  const days = -daysAhead(date);
  if (days < 1) {
    return days ? "" : t(", today");
  }
  return nt(", {count} day ago", ", {count} days ago", days);
}
