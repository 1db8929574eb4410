/** A question about a symbol: it gets /forecast/<symbol> and shows the answer. */

import { forecastSymbol } from "../shared/api.js";
import { askServer } from "../shared/ask.js";
import { byId } from "../shared/dom.js";
import { isSymbol } from "../shared/symbols.js";
import { LEVELS } from "./levels.js";
import { originOf } from "./origin.js";
import { showOutput } from "./output.js";
import { fetchPast } from "./past.js";

const HORIZON = 20;
const SHOWN_CLOSES = 250;
const SHOWN_LENGTH = 40; // of a text that is not a symbol

const form = byId("form");

/**
 * @param {string} symbol in upper case
 * @param {{again: () => void, refuse: (problems: string[]) => void}} callbacks again: ask once more, with an API key
 */
export async function askAboutSymbol(symbol, { again, refuse }) {
  if (!isSymbol(symbol)) {
    refuse([`“${symbol.slice(0, SHOWN_LENGTH)}” is not a symbol: 1 to 32 letters, digits and . ^ = - & _ (not a dot first).`]);
    return;
  }
  const url = `${form.dataset.forecast}/${encodeURIComponent(symbol)}?horizon=${HORIZON}&closes=${SHOWN_CLOSES}&levels=${LEVELS}`;
  const address = new URL(url, location.href).href;
  await askServer({
    progress: `Asking for the newest closes of ${symbol} …`,
    async send(headers) {
      const [reply, past] = await Promise.all([forecastSymbol(address, headers), fetchPast(form.dataset.backtest, symbol, headers)]);
      return reply.ok ? { ...reply, past } : reply;
    },
    again,
    succeed({ answer, past }, headers) {
      const { closes, dates, symbol } = answer;
      showOutput({ answer, closes, dates, symbol, past, ...originOf(answer), call: { url: address, headers } });
    },
    fail: (reply) => refuse(failure(reply)),
  });
}

/** Return why there is no forecast, and what to do, in two lines. @param {import("../shared/api.js").Failure} failure */
function failure({ status, error, retryAfter }) {
  const advice = {
    404: "Check the symbol: Yahoo Finance writes KO, PETR4.SA, BRK-B or ^GSPC.",
    503: retryAfter ? `Try again in ${retryAfter} seconds, or choose one of the symbols below.` : "Choose one of the symbols below.",
  }[status];
  return [error, advice ?? (retryAfter ? `Try again in ${retryAfter} seconds.` : "")].filter(Boolean);
}
