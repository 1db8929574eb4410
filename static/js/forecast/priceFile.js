/** The closes that the user brings: pasted text or one chosen file. The server reads both; see closes/files.py. */

import { byId } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { t } from "../shared/texts.js";

const MAX_BYTES = 2 * 1024 * 1024; // of a request, as on the server
const UNITS = /** @type {[number, string][]} */ ([[1024 * 1024, "MB"], [1024, "kB"]]);

const field = byId("question");
const input = byId("file");
const chosen = byId("chosen-file");

/** @typedef {{content: string | File, name: string}} Source  name: of the file; empty for pasted text */

let file = /** @type {File | null} */ (null);

/** Return what the user brought, or a sentence that says what is wrong with it. @returns {Source | string} */
export function source() {
  if (!file) {
    return field.value.trim() ? { content: field.value, name: "" } : t("Write a symbol, paste closes, or choose a file.");
  }
  if (file.size > MAX_BYTES) {
    return t("{name} is larger than {size}. Read it with a command: {command}", {
      name: file.name,
      size: size(MAX_BYTES),
      command: `python modelPredict.py --csv ${file.name}`,
    });
  }
  return file.size ? { content: file, name: file.name } : t("{name} is empty.", { name: file.name });
}

/** Whether a file is chosen. */
export function hasFile() {
  return file !== null;
}

/** Use a file, or pasted text from now on. @param {File | null} next */
export function useFile(next) {
  file = next;
  input.value = ""; // so that the same file can be chosen again, once it is fixed
  if (next) {
    field.value = "";
    byId("chosen-name").textContent = `${next.name}, ${size(next.size)}`;
  }
  chosen.hidden = next === null;
}

/**
 * Call `use` with each file that is chosen, or dropped anywhere on the page.
 * @param {HTMLElement} panel shows that a file can be dropped
 * @param {(file: File) => void} use
 * @param {(problem: string) => void} refuse
 */
export function onFile(panel, use, refuse) {
  /** @param {FileList} files */
  const take = (files) => (files.length === 1 ? use(files[0]) : refuse(t("Choose one file at a time.")));
  input.addEventListener("change", () => input.files.length && take(input.files));
  addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) {
      event.preventDefault();
      panel.classList.add("drop");
    }
  });
  addEventListener("dragleave", () => panel.classList.remove("drop"));
  addEventListener("drop", (event) => {
    panel.classList.remove("drop");
    const files = event.dataTransfer?.files;
    if (files?.length) {
      event.preventDefault();
      take(files);
    }
  });
}

/** A size in its largest unit. @param {number} bytes */
function size(bytes) {
  const [unit, name] = UNITS.find(([least]) => bytes >= least) ?? [1, t("bytes")];
  return `${number(bytes / unit, { maximumFractionDigits: 1 })} ${name}`;
}
