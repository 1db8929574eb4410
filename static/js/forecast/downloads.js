/** What is shown, as files: the forecast as CSV, the chart as PNG. */

/** @typedef {import("../shared/api.js").Step} Step */

const HEADER = "step,date,forecast,low_80,high_80,low_95,high_95";
const PADDING = 16; // around the picture, in CSS pixels
const TITLE = 28; // height of its line

/**
 * A forecast as CSV, unrounded; dates are empty if unknown.
 * @param {Step[]} path
 */
export function asCsv(path) {
  const rows = path.map(({ step, date = "", price, intervals }) => [step, date, price, ...intervals["80"], ...intervals["95"]].join(","));
  return `${[HEADER, ...rows].join("\n")}\n`;
}

/**
 * A canvas as PNG on the page's ground, under a title: the canvas itself is transparent.
 * @param {HTMLCanvasElement} canvas
 * @param {string} title
 * @returns {Promise<Blob | null>}
 */
export function asPng(canvas, title) {
  const scale = devicePixelRatio;
  const style = getComputedStyle(canvas);
  const picture = document.createElement("canvas");
  picture.width = canvas.width + 2 * PADDING * scale;
  picture.height = canvas.height + (2 * PADDING + TITLE) * scale;
  const context = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
  context.fillStyle = style.getPropertyValue("--panel");
  context.fillRect(0, 0, picture.width, picture.height);
  context.fillStyle = style.getPropertyValue("--text");
  context.font = `${14 * scale}px ${style.fontFamily}`;
  context.textBaseline = "top";
  context.fillText(title, PADDING * scale, PADDING * scale, canvas.width);
  context.drawImage(canvas, PADDING * scale, (PADDING + TITLE) * scale);
  return new Promise((done) => picture.toBlob(done, "image/png"));
}

/**
 * Let the browser save a file.
 * @param {Blob} content
 * @param {string} name
 */
export function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once it is surely read
}
