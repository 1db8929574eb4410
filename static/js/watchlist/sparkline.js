/** A small chart of the last closes with the forecast as a fan, in SVG. */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 168; // units of the picture, one a CSS pixel
const HEIGHT = 44;
const MARGIN = 2;

/** @typedef {import("../shared/api.js").Step} Step */

/**
 * @param {number[]} closes oldest first
 * @param {Step[]} path
 * @param {string} text the chart in a sentence
 */
export function sparkline(closes, path, text) {
  const last = closes[closes.length - 1];
  const bounds = (/** @type {"80" | "95"} */ level, /** @type {0 | 1} */ end) => [last, ...path.map((step) => step.intervals[level][end])];
  const every = [...closes, ...bounds("95", 0), ...bounds("95", 1)];
  const [least, most] = [Math.min(...every), Math.max(...every)];
  const x = (/** @type {number} */ place) => MARGIN + (place / (closes.length - 1 + path.length)) * (WIDTH - 2 * MARGIN);
  const y = (/** @type {number} */ price) => HEIGHT - MARGIN - ((price - least) / (most - least || 1)) * (HEIGHT - 2 * MARGIN);
  const line = (/** @type {number[]} */ prices, /** @type {number} */ first) =>
    prices.map((price, index) => `${x(first + index).toFixed(1)},${y(price).toFixed(1)}`);
  const band = (/** @type {"80" | "95"} */ level) =>
    shape("polygon", [...line(bounds(level, 1), closes.length - 1), ...line(bounds(level, 0), closes.length - 1).reverse()], `band${level}`);

  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", text);
  picture.classList.add("sparkline");
  const expected = [last, ...path.map(({ price }) => price)];
  picture.append(band("95"), band("80"), shape("polyline", line(expected, closes.length - 1), "ahead"), shape("polyline", line(closes, 0), "closes"));
  return picture;
}

/** @param {string} name @param {string[]} points @param {string} kind */
function shape(name, points, kind) {
  const made = document.createElementNS(SVG, name);
  made.setAttribute("points", points.join(" "));
  made.classList.add(kind);
  return made;
}
