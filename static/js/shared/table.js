/** Rows of tables. */

import { write } from "./prose.js";

/**
 * Return a row with its name in front.
 * @param {string} name
 * @param {(string | number)[]} texts of the other cells
 */
export function tableRow(name, texts) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  write(head, name);
  row.append(
    head,
    ...texts.map((text) => {
      const cell = document.createElement("td");
      write(cell, String(text));
      return cell;
    }),
  );
  return row;
}
