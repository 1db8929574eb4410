/** The days after the last close, where the exchange is unknown. */

const DAY = 86_400_000; // milliseconds
const SEEN = 60; // closes that show whether a market opens at weekends

/**
 * Return the days ahead: weekdays, or every day if the closes have weekends.
 * @param {string[]} dates of the closes, oldest first; empty if unknown
 * @param {number} count
 * @returns {string[]} empty if the dates are unknown
 */
export function daysAfter(dates, count) {
  const days = /** @type {string[]} */ ([]);
  if (!dates.length) {
    return days;
  }
  const everyDay = dates.slice(-SEEN).some(isWeekend);
  for (let time = Date.parse(dates[dates.length - 1]) + DAY; days.length < count; time += DAY) {
    const day = new Date(time).toISOString().slice(0, 10);
    if (everyDay || !isWeekend(day)) {
      days.push(day);
    }
  }
  return days;
}

/** @param {string} date */
function isWeekend(date) {
  return [0, 6].includes(new Date(date).getUTCDay());
}
