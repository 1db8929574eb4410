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
 * A duration in milliseconds.
 * @param {number} seconds
 */
export function milliseconds(seconds) {
  return `${new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 2 }).format(seconds * 1000)} ms`;
}
