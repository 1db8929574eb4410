/** A request as a curl command or a Python program, and copying it. */

/**
 * @typedef {{url: string, body?: object, headers: string[]}} Call  body: has numbers only, so single quotes are enough; it is sent by POST
 */

/**
 * Return the headers of a call with a placeholder in place of the API key, which is never shown.
 * @param {Record<string, string>} headers
 */
export function withoutKey(headers) {
  return Object.keys(headers).map((name) => `${name}: YOUR-API-KEY`);
}

/** @param {Call} call */
export function asCurl({ url, body, headers }) {
  const all = body ? ["Content-Type: application/json", ...headers] : headers;
  const data = body ? [`-d '${JSON.stringify(body)}'`] : [];
  return [`curl -sS '${url}'`, ...all.map((header) => `-H '${header}'`), ...data].join(" \\\n  ");
}

/** @param {Call} call */
export function asPython({ url, body, headers }) {
  const named = Object.fromEntries(headers.map((header) => header.split(": ")));
  const options = [...(body ? [`json=${JSON.stringify(body)}`] : []), ...(headers.length ? [`headers=${JSON.stringify(named)}`] : []), "timeout=30"];
  return [
    "import requests",
    "",
    `answer = requests.${body ? "post" : "get"}(`,
    ...[JSON.stringify(url), ...options].map((argument) => `    ${argument},`),
    ")",
    "print(answer.text)",
  ].join("\n");
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
