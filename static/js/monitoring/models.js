/** The table of the published models. */

import { byId } from "../shared/dom.js";
import { percent } from "../shared/format.js";

/** @typedef {import("../shared/api.js").PublishedModel} PublishedModel */

const SHOWN = 100; // models in the table
const NONE = "–";

let shown = ""; // what the table shows

/**
 * Update the table. Without a change it stays as it is, and with it what the user reads or selects.
 * @param {import("../shared/api.js").Reply<{models: PublishedModel[], problems: string[]}>} reply
 */
export function showModels(reply) {
  const now = reply.ok ? JSON.stringify(reply.answer) : shown;
  if (!reply.ok || now === shown) {
    return;
  }
  shown = now;
  const { models, problems } = reply.answer;
  const more = models.length - SHOWN;
  byId("models").hidden = models.length === 0;
  byId("models-more").textContent = more > 0 ? `${more.toLocaleString("en")} more are in the answer of /models.` : "";
  byId("models-problems").textContent = problems.join("; ");
  byId("models-table").querySelector("tbody").replaceChildren(...models.slice(0, SHOWN).map(tableRow));
}

/** @param {PublishedModel} model */
function tableRow({ symbol, default: isDefault, model_version, created_at, last_date, metrics }) {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = isDefault ? `Default (${symbol})` : symbol;
  const share = (/** @type {number | null | undefined} */ held) => (typeof held === "number" ? percent(held) : NONE);
  const ratio = typeof metrics.rmse_ratio === "number" ? metrics.rmse_ratio.toFixed(4) : NONE;
  const texts = [model_version, created_at.slice(0, 10), last_date, ratio, share(metrics.coverage_80), share(metrics.coverage_95)];
  row.append(
    name,
    ...texts.map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }),
  );
  return row;
}
