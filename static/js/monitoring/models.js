/** The table of the published models. */

import { published } from "../shared/api.js";
import { keyHeader } from "../shared/apiKey.js";
import { byId } from "../shared/dom.js";
import { dayText, decimals, percent, utc } from "../shared/format.js";
import { write } from "../shared/prose.js";
import { told } from "../shared/sentences.js";
import { tableRow } from "../shared/table.js";
import { nt, t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").PublishedModel} PublishedModel */

const SHOWN = 100; // models in the table
const NONE = "–";

const PERIOD = 60_000; // milliseconds between two updates; a publication is rare

let asked = -Infinity; // when the list was last requested, by performance.now()

/** Update the table, at most once a minute. A call that fails is repeated at the next refresh. @param {string} url */
export async function followModels(url) {
  if (performance.now() - asked < PERIOD) {
    return;
  }
  asked = performance.now(); // before the answer, so that a refresh meanwhile does not ask again
  const reply = await published(url, keyHeader());
  if (reply.ok) {
    show(reply.answer);
  } else {
    asked = -Infinity;
  }
}

/** @param {{models: PublishedModel[], problems: string[], versions?: import("../shared/api.js").KeptVersion[]}} answer */
function show({ models, problems, versions = [] }) {
  const list = byId("versions");
  list.hidden = byId("versions-title").hidden = versions.length === 0;
  list.replaceChildren(...versions.map(versionLine));
  const more = models.length - SHOWN;
  byId("models").hidden = models.length === 0;
  byId("models-more").textContent = more > 0 ? nt("{count} more is in the answer of /models.", "{count} more are in the answer of /models.", more) : "";
  byId("models-problems").textContent = problems.map((problem) => told(problem)).join("; ");
  byId("models-table").querySelector("tbody").replaceChildren(...models.slice(0, SHOWN).map(modelRow));
}

/** @param {import("../shared/api.js").KeptVersion} version */
function versionLine({ model_version, created_at, published }) {
  const made = document.createElement("li");
  made.className = published ? "published" : "";
  const when = utc(new Date(created_at)).slice(0, 16);
  write(made, published ? t("{when} UTC: {version}, in use", { when, version: model_version }) : t("{when} UTC: {version}", { when, version: model_version }));
  return made;
}

/** @param {PublishedModel} model */
function modelRow({ symbol, default: isDefault, model_version, created_at, last_date, metrics }) {
  const share = (/** @type {number | null | undefined} */ held) => (typeof held === "number" ? percent(held) : NONE);
  const ratio = typeof metrics.rmse_ratio === "number" ? decimals(metrics.rmse_ratio, 4) : NONE;
  const texts = [model_version, dayText(created_at.slice(0, 10)), dayText(last_date), ratio, share(metrics.coverage_80), share(metrics.coverage_95)];
  return tableRow(isDefault ? t("Default ({symbol})", { symbol }) : symbol, texts);
}
