/** A request as a curl command or a Python program, and copying it. */

/**
 * @typedef {object} Call  a GET, unless it has something to post
 * @property {string} url
 * @property {string[]} headers
 * @property {object} [body] JSON to post; it has numbers and a symbol only, so single quotes are enough
 * @property {Blob | string} [content] a price file to post; snippets use it if there is no body
 * @property {string} [file] name of the file
 */

/**
 * Return the headers of a call with a placeholder in place of the API key, which is never shown.
 * @param {Record<string, string>} headers
 */
export function withoutKey(headers) {
  return Object.keys(headers).map((name) => `${name}: YOUR-API-KEY`);
}

/** @param {Call} call */
export function asCurl({ url, body, content, file = "", headers }) {
  const data = body ? [`-d '${JSON.stringify(body)}'`] : content ? [`--data-binary ${inShell(`@${file}`)}`] : [];
  const type = body ? ["Content-Type: application/json"] : content ? ["Content-Type: text/csv"] : [];
  return [`curl -sS '${url}'`, ...[...type, ...headers].map((header) => `-H '${header}'`), ...data].join(" \\\n  ");
}

/** @param {Call} call */
export function asPython({ url, body, content, file, headers }) {
  const isFile = !body && content;
  const named = Object.fromEntries([...(isFile ? ["Content-Type: text/csv"] : []), ...headers].map((header) => header.split(": ")));
  const data = body ? [`json=${JSON.stringify(body)}`] : isFile ? [`data=open(${JSON.stringify(file)}, "rb")`] : [];
  const options = [...data, ...(Object.keys(named).length ? [`headers=${JSON.stringify(named)}`] : []), "timeout=30"];
  return [
    "import requests",
    "",
    `answer = requests.${data.length ? "post" : "get"}(`,
    ...[JSON.stringify(url), ...options].map((argument) => `    ${argument},`),
    ")",
    "print(answer.text)",
  ].join("\n");
}

/** Quote a text for a shell. @param {string} text */
function inShell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
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
