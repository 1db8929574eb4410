/** The request as a curl command, and copying it. */

/**
 * @param {string} url
 * @param {object} body numbers only, so that single quotes hold it
 * @param {string[]} [headers] further ones
 */
export function curlCommand(url, body, headers = []) {
  const options = ["Content-Type: application/json", ...headers].map((header) => `-H '${header}'`);
  return [`curl -sS '${url}'`, ...options, `-d '${JSON.stringify(body)}'`].join(" \\\n  ");
}

/**
 * Copy an element's text. Pages served over plain HTTP have no clipboard API: there the text is selected and copied.
 * @param {HTMLElement} element
 * @returns {Promise<boolean>} whether it worked; if not, the text stays selected
 */
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(element);
    const copied = document.execCommand("copy");
    if (copied) {
      getSelection()?.removeAllRanges();
    }
    return copied;
  }
}
