/** Numbers, dates and durations as text in the page's language. The currency is unknown, so there is no currency sign. */

import { LANGUAGE, nt, t } from "./texts.js";

const SIGNIFICANT_DIGITS = 5;
const DAY = 86_400_000; // milliseconds
const IS_ENGLISH = LANGUAGE === "en"; // dates as numbers are in ISO 8601 there: 1/2/2026 is another day in London than in New York
const LONG_DAY = new Intl.DateTimeFormat(IS_ENGLISH ? "en-GB" : LANGUAGE, { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" });
const SHORT_DAY = new Intl.DateTimeFormat(LANGUAGE, { timeZone: "UTC", day: "2-digit", month: "2-digit", year: "numeric" });
const MONTH = new Intl.DateTimeFormat(LANGUAGE, { timeZone: "UTC", month: "short" });
const DECIMAL = new Intl.NumberFormat(LANGUAGE).formatToParts(0.5).find(({ type }) => type === "decimal")?.value ?? ".";

/** Format a number. @param {number} value @param {Intl.NumberFormatOptions} [options] */
export function number(value, options) {
  return new Intl.NumberFormat(LANGUAGE, options).format(value);
}

/** Return the ISO 8601 date of a time. @param {number} seconds since 1970 */
export function isoDate(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

/** Format a number with a fixed number of decimals. @param {number} value @param {number} digits */
export function decimals(value, digits) {
  return number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * Return a formatter for prices of one size: at least five significant digits and two decimals, the same number for all.
 * @param {number} size a typical price, such as the last close
 * @param {{trailingZeros?: boolean, grouping?: boolean}} [options] trailingZeros: false for the round numbers of an axis; grouping: false
 *   for a field
 * @returns {(price: number) => string}
 */
export function priceFormat(size, { trailingZeros = true, grouping = true } = {}) {
  const magnitude = Math.floor(Math.log10(size));
  const extreme = magnitude < -6 || magnitude > 11;
  const digits = extreme ? SIGNIFICANT_DIGITS - 1 : Math.max(2, SIGNIFICANT_DIGITS - 1 - magnitude);
  const format = new Intl.NumberFormat(LANGUAGE, {
    notation: extreme ? "scientific" : "standard",
    useGrouping: grouping,
    minimumFractionDigits: trailingZeros ? digits : 0,
    maximumFractionDigits: digits,
  });
  return (price) => format.format(price);
}

/**
 * Read a number that a person wrote, with the decimal sign of the page's language. Where that is a comma, 1.234 is a thousand, and a point
 * that separates no thousands is a decimal sign too.
 * @param {string} text
 * @returns {number} NaN if it is not a number
 */
export function readNumber(text) {
  const written = text.trim();
  if (DECIMAL !== "," || !written) {
    return written ? Number(written) : NaN;
  }
  const isGrouped = /^\d{1,3}(\.\d{3})+(,\d*)?$/.test(written);
  return Number((isGrouped ? written.replaceAll(".", "") : written).replace(",", "."));
}

/**
 * Format a duration: in milliseconds below a second, otherwise in seconds.
 * @param {number} seconds
 */
export function duration(seconds) {
  const [value, unit] = seconds < 1 ? [seconds * 1000, "ms"] : [seconds, "s"];
  return `${number(value, { maximumSignificantDigits: 2 })} ${unit}`;
}

/**
 * @param {number} fraction
 * @param {number} [digits] decimals
 */
export function percent(fraction, digits = 1) {
  return number(fraction, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/**
 * Name a number of steps ahead: trading days, or closes if those are not daily.
 * @param {number} count
 * @param {import("./api.js").SeriesWarning[]} warnings of the answer
 */
export function steps(count, warnings) {
  return warnings.some(({ code }) => code === "not_daily")
    ? nt("{count} close", "{count} closes", count)
    : nt("{count} trading day", "{count} trading days", count);
}

/** Name a day, also as today or tomorrow. @param {string | undefined} date undefined if it is unknown */
export function dayName(date) {
  if (!date) {
    return t("Next close");
  }
  const day = LONG_DAY.format(new Date(date));
  const ahead = daysAhead(date);
  return ahead === 0 ? t("Today, {day}", { day }) : ahead === 1 ? t("Tomorrow, {day}", { day }) : day;
}

/** How many days a date is from today, in UTC. @param {string} date */
export function daysAhead(date) {
  return Date.parse(date) / DAY - Math.floor(Date.now() / DAY);
}

/** Format a date as numbers. @param {string} date ISO 8601 */
export function dayText(date) {
  return IS_ENGLISH ? date : SHORT_DAY.format(new Date(date));
}

/** Format a date without its year, as numbers. @param {string} date ISO 8601 */
export function dayAndMonthText(date) {
  return IS_ENGLISH ? date.slice(5, 10) : SHORT_DAY.format(new Date(date)).slice(0, 5);
}

/** The short name of a date's month. @param {Date} date */
export function monthName(date) {
  return MONTH.format(date).replace(/\.$/, "");
}

/** Format a moment in UTC, to the second. @param {Date} moment */
export function utc(moment) {
  if (Number.isNaN(moment.getTime())) {
    return t("unknown");
  }
  const [day, clock] = moment.toISOString().slice(0, 19).split("T");
  return `${dayText(day)} ${clock}`;
}

/** Say how long ago a moment was, in its largest unit. @param {Date} moment */
export function age(moment) {
  const minutes = Math.max(0, Math.floor((Date.now() - moment.getTime()) / 60_000));
  if (Number.isNaN(minutes)) {
    return t("unknown");
  }
  if (minutes >= 2 * 1440) {
    return nt("{count} day", "{count} days", Math.floor(minutes / 1440));
  }
  return minutes >= 2 * 60
    ? nt("{count} hour", "{count} hours", Math.floor(minutes / 60))
    : nt("{count} minute", "{count} minutes", minutes);
}
