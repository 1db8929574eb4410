/** Where closes come from and how old they are, in one sentence; what an answer's warnings say of that is not said twice. */

/** @typedef {import("./api.js").SymbolAnswer} SymbolAnswer */

/**
 * @typedef {object} Origin
 * @property {string} origin a sentence; empty where nothing is known
 * @property {boolean} isOld whether the server warns of the age
 */

const SOURCES = { yahoo: "Yahoo Finance", cache: "an earlier download from Yahoo Finance", snapshot: "the embedded snapshot" };
const AGE = /^The last close is from [\d-]+, ([\d,]+ days ago)\.$/; // as newestCloses.py warns of it
const SOURCE = / These closes are from the \w+ and end on [\d-]+\.$/; // after what is wrong with Yahoo Finance
const DAY = 86_400_000; // milliseconds

/**
 * Of a symbol's closes, and what is left of the answer's warnings.
 * @param {SymbolAnswer} answer
 * @returns {Origin & {warnings: string[]}}
 */
export function originOf({ symbol, as_of, source, warnings }) {
  const age = warnings.map((warning) => warning.match(AGE)?.[1]).find(Boolean);
  return {
    origin: `${symbol} data ends on ${as_of}, ${age ? `${age}, ` : ""}from ${SOURCES[source] ?? source}.`,
    isOld: age !== undefined,
    warnings: warnings.filter((warning) => !AGE.test(warning)).map((warning) => warning.replace(SOURCE, "")),
  };
}

/** Of closes that the user brought. @param {string[]} dates none where they are not known @returns {Origin} */
export function ownOrigin(dates) {
  const last = dates[dates.length - 1];
  return { origin: last ? `Your data ends on ${last}${daysAgo(last)}.` : "", isOld: false };
}

/** How long ago a day was in UTC; nothing of one to come. @param {string} date */
function daysAgo(date) {
  const days = Math.floor(Date.now() / DAY) - Date.parse(date) / DAY;
  if (days < 1) {
    return days ? "" : ", today";
  }
  return `, ${days.toLocaleString("en")} ${days === 1 ? "day" : "days"} ago`;
}
