/** Numbers as text. The currency is unknown, so there is no currency sign. */

const LOCALE = "en";
const SIGNIFICANT_DIGITS = 5;

/**
 * Return a formatter for prices of one size: at least five significant digits and two decimals, the same number for all.
 * @param {number} size a typical price, such as the last close
 * @param {{trailingZeros?: boolean}} [options] trailingZeros: false for the round numbers of an axis
 * @returns {(price: number) => string}
 */
export function priceFormat(size, { trailingZeros = true } = {}) {
  const magnitude = Math.floor(Math.log10(size));
  const extreme = magnitude < -6 || magnitude > 11;
  const digits = extreme ? SIGNIFICANT_DIGITS - 1 : Math.max(2, SIGNIFICANT_DIGITS - 1 - magnitude);
  const format = new Intl.NumberFormat(LOCALE, {
    notation: extreme ? "scientific" : "standard",
    minimumFractionDigits: trailingZeros ? digits : 0,
    maximumFractionDigits: digits,
  });
  return (price) => format.format(price);
}

/**
 * Format a duration: in milliseconds below a second, otherwise in seconds.
 * @param {number} seconds
 */
export function duration(seconds) {
  const [value, unit] = seconds < 1 ? [seconds * 1000, "ms"] : [seconds, "s"];
  return `${new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 2 }).format(value)} ${unit}`;
}

/**
 * @param {number} fraction
 * @param {number} [digits] decimals
 */
export function percent(fraction, digits = 1) {
  return `${(100 * fraction).toFixed(digits)}%`;
}

/**
 * Name a number of steps ahead: trading days, or closes if those are not daily.
 * @param {number} count
 * @param {import("./api.js").SeriesWarning[]} warnings of the answer
 */
export function steps(count, warnings) {
  const unit = warnings.some(({ code }) => code === "not_daily") ? "close" : "trading day";
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

const LONG_DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" });
const DAY = 86_400_000; // milliseconds

/** Name a day, also as today or tomorrow. @param {string | undefined} date undefined if it is unknown */
export function dayName(date) {
  if (!date) {
    return "Next close";
  }
  const name = LONG_DAY.format(new Date(date));
  const ahead = Date.parse(date) / DAY - Math.floor(Date.now() / DAY);
  return ahead === 0 ? `Today, ${name}` : ahead === 1 ? `Tomorrow, ${name}` : name;
}

/** Format a moment in UTC, to the second. @param {Date} moment */
export function utc(moment) {
  return Number.isNaN(moment.getTime()) ? "unknown" : moment.toISOString().slice(0, 19).replace("T", " ");
}

/** Say how long ago a moment was, in its largest unit. @param {Date} moment */
export function age(moment) {
  const minutes = Math.floor((Date.now() - moment.getTime()) / 60_000);
  const units = /** @type {[string, number][]} */ ([["day", 1440], ["hour", 60], ["minute", 1]]);
  const [unit, size] = units.find(([, length]) => minutes >= 2 * length) ?? units[2];
  const count = Math.max(0, Math.floor(minutes / size));
  return Number.isNaN(count) ? "unknown" : `${count.toLocaleString(LOCALE)} ${unit}${count === 1 ? "" : "s"}`;
}
