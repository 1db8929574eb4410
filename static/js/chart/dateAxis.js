/** The x axis of a forecast's chart where dates are known: dates for past days, +1, +2 … for those ahead. */

const DAY_STEPS = [1, 5, 10]; // between dates, and between days ahead
const MONTH_STEPS = [1, 2, 3, 6, 12, 24, 60]; // between months
const DATE_ROOM = 50; // pixels for "28 Dec" and a gap
const MONTH_ROOM = 36; // for "Dec" above "2022"
const AHEAD_ROOM = 34; // for "+20"
const MIXED_ROOM = 42; // from the middle of a date to that of "+5"
const MONTH_NAME = new Intl.DateTimeFormat("en", { timeZone: "UTC", month: "short" });

/** @typedef {{room: number, text: (date: Date) => string, days: number[]}} Level  days that may be marked, oldest first; 0 is the last close's */

/**
 * uPlot's options of the axis; x is in trading days from the last close.
 * @param {string[]} dates of the closes, oldest first
 * @param {number} horizon days ahead
 */
export function dateAxis(dates, horizon) {
  const levels = levelsOf(dates);
  let level = levels[0];
  return {
    label: "date, then closes ahead",
    labelSize: 20,
    size: 42,
    splits: (/** @type {any} */ plot, /** @type {number} */ _, /** @type {number} */ min, /** @type {number} */ max) => {
      const pixels = plot.bbox.width / devicePixelRatio / (max - min);
      const ahead = daysAhead(Math.max(0, min), Math.min(horizon, max), pixels);
      const end = Math.min(0, max, (ahead[0] ?? Infinity) - MIXED_ROOM / pixels);
      const shown = (/** @type {Level} */ { days }) => days.filter((day) => day >= min && day <= end);
      level = levels.find((one) => isRoomy(shown(one), one.room / pixels)) ?? levels[levels.length - 1];
      return [...shown(level), ...ahead];
    },
    values: (/** @type {any} */ _, /** @type {number[]} */ days) => labels(days, dates, level.text),
  };
}

/**
 * The ways to mark the past, the finest first.
 * @param {string[]} dates
 * @returns {Level[]}
 */
function levelsOf(dates) {
  const last = dates.length - 1;
  const offsets = dates.map((_, index) => index - last);
  const firsts = offsets.filter((day) => day > -last && dates[last + day].slice(0, 7) !== dates[last + day - 1].slice(0, 7));
  const month = (/** @type {number} */ day) => 12 * Number(dates[last + day].slice(0, 4)) + Number(dates[last + day].slice(5, 7)) - 1;
  return [
    ...DAY_STEPS.map((step) => ({ room: DATE_ROOM, text: dayAndMonth, days: offsets.filter((day) => day % step === 0) })),
    ...MONTH_STEPS.map((step) => ({ room: MONTH_ROOM, text: monthOnly, days: firsts.filter((day) => month(day) % step === 0) })),
  ];
}

/** Whether neighbours among these days are far enough from each other. @param {number[]} days @param {number} room in days */
function isRoomy(days, room) {
  return days.every((day, index) => index === 0 || day - days[index - 1] >= room);
}

/**
 * The days ahead to be marked: round ones, and the last in sight.
 * @param {number} min
 * @param {number} max
 * @param {number} pixels of a day
 */
function daysAhead(min, max, pixels) {
  const last = Math.floor(max);
  if (last <= 0 || last < min) {
    return [];
  }
  const step = DAY_STEPS.find((one) => one * pixels >= AHEAD_ROOM) ?? Infinity;
  const round = Array.from({ length: last }, (_, index) => index + 1).filter((day) => day % step === 0);
  const fits = (/** @type {number} */ day) => day >= min && day * pixels >= MIXED_ROOM && (last - day) * pixels >= AHEAD_ROOM;
  return [...round.filter(fits), last];
}

/**
 * A label for each marked day; the year is under the first date and under the first of each year.
 * @param {number[]} days
 * @param {string[]} dates
 * @param {(date: Date) => string} text
 */
function labels(days, dates, text) {
  let year = "";
  return days.map((day) => {
    if (day > 0) {
      return `+${day}`;
    }
    const date = dates[dates.length - 1 + day];
    const isNew = date.slice(0, 4) !== year;
    year = date.slice(0, 4);
    return text(new Date(date)) + (isNew ? `\n${year}` : "");
  });
}

/** @param {Date} date */
function dayAndMonth(date) {
  return `${date.getUTCDate()} ${monthOnly(date)}`;
}

/** @param {Date} date */
function monthOnly(date) {
  return MONTH_NAME.format(date);
}
