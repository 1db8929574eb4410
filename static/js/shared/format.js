/** Numbers as people read them. The currency of the closes is not known, so no sign is shown. */

const LOCALE = "en";
const SIGNIFICANT_DIGITS = 5;

/**
 * A formatter for prices of one size: at least five significant digits and two decimals, as many for all.
 * @param {number} size a typical price, such as the last close
 * @param {{trailingZeros?: boolean}} [options] trailingZeros: false suits an axis, whose round numbers need none
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
 * A duration in milliseconds, from a second on in seconds.
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

/** A moment in UTC, to the second. @param {Date} moment */
export function utc(moment) {
  return Number.isNaN(moment.getTime()) ? "unknown" : moment.toISOString().slice(0, 19).replace("T", " ");
}

/** How long ago a moment was, in its largest unit. @param {Date} moment */
export function age(moment) {
  const minutes = Math.floor((Date.now() - moment.getTime()) / 60_000);
  const units = /** @type {[string, number][]} */ ([["day", 1440], ["hour", 60], ["minute", 1]]);
  const [unit, size] = units.find(([, length]) => minutes >= 2 * length) ?? units[2];
  const count = Math.max(0, Math.floor(minutes / size));
  return Number.isNaN(count) ? "unknown" : `${count.toLocaleString(LOCALE)} ${unit}${count === 1 ? "" : "s"}`;
}
