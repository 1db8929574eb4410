/** The x axis of a forecast's chart where dates are known. */

import { monthName } from "../shared/format.js";

const DAY_STEPS = [1, 5, 10]; // between days
const MONTH_STEPS = [1, 2, 3, 6, 12, 24, 60]; // between months
const DATE_ROOM = 50; // pixels for "28 Dec" and a gap
const MONTH_ROOM = 36; // for "Dec" above "2022"

/** @typedef {{room: number, text: (date: Date) => string, days: number[]}} Level  days that may be marked, oldest first; 0 is the last close's */

/**
 * uPlot's options of the axis; x is in trading days from the last close.
 * @param {string[]} dates of the closes, oldest first
 * @param {(string | undefined)[]} ahead dates of the days ahead; where they are unknown, the last one is labelled with its number
 */
export function dateAxis(dates, ahead) {
  const known = [...dates, ...ahead.filter((date) => date !== undefined)];
  const last = dates.length - 1;
  const levels = levelsOf(known, last);
  const counted = known.length === dates.length ? [ahead.length] : [];
  let level = levels[0];
  return {
    size: 42,
    splits: (/** @type {any} */ plot, /** @type {number} */ _, /** @type {number} */ min, /** @type {number} */ max) => {
      const pixels = plot.bbox.width / devicePixelRatio / (max - min);
      const shown = (/** @type {Level} */ { days }) => days.filter((day) => day >= min && day <= max);
      level = levels.find((one) => isRoomy(shown(one), one.room / pixels)) ?? levels[levels.length - 1];
      const room = counted.filter((day) => day <= max && day * pixels >= level.room);
      return [...shown(level), ...room];
    },
    values: (/** @type {any} */ _, /** @type {number[]} */ days) => labels(days, known, last, level.text),
  };
}

/**
 * The ways to mark the days, the finest first.
 * @param {string[]} dates
 * @param {number} last the index of the last close's
 * @returns {Level[]}
 */
function levelsOf(dates, last) {
  const offsets = dates.map((_, index) => index - last);
  const firsts = offsets.filter((day) => day > -last && dates[last + day].slice(0, 7) !== dates[last + day - 1].slice(0, 7));
  const month = (/** @type {number} */ day) => 12 * Number(dates[last + day].slice(0, 4)) + Number(dates[last + day].slice(5, 7)) - 1;
  return [
    ...DAY_STEPS.map((step) => ({ room: DATE_ROOM, text: dayAndMonth, days: offsets.filter((day) => day % step === 0) })),
    ...MONTH_STEPS.map((step) => ({ room: MONTH_ROOM, text: monthName, days: firsts.filter((day) => month(day) % step === 0) })),
  ];
}

/** Whether neighbours among these days are far enough from each other. @param {number[]} days @param {number} room in days */
function isRoomy(days, room) {
  return days.every((day, index) => index === 0 || day - days[index - 1] >= room);
}

/**
 * A label for each marked day; the year is under the first date and under the first of each year.
 * @param {number[]} days
 * @param {string[]} dates
 * @param {number} last the index of the last close's
 * @param {(date: Date) => string} text
 */
function labels(days, dates, last, text) {
  let year = "";
  return days.map((day) => {
    const date = dates[last + day];
    if (!date) {
      return `+${day}`;
    }
    const isNew = date.slice(0, 4) !== year;
    year = date.slice(0, 4);
    return text(new Date(date)) + (isNew ? `\n${year}` : "");
  });
}

/** @param {Date} date */
function dayAndMonth(date) {
  return `${date.getUTCDate()} ${monthName(date)}`;
}
