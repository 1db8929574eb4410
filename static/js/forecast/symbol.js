/** A question about a symbol: it gets /forecast/<symbol> and shows the answer. */

import { forecastSymbol } from "../shared/api.js";
import { askServer } from "../shared/ask.js";
import { byId } from "../shared/dom.js";
import { faultOf, isSymbol } from "../shared/symbols.js";
import { LEVELS } from "./levels.js";
import { originOf } from "./origin.js";
import { showOutput } from "./output.js";
import { fetchPast } from "./past.js";
import { retryAdvice } from "../shared/messages.js";
import { told } from "../shared/sentences.js";
import { nt, t } from "../shared/texts.js";

const HORIZON = 20;
const SHOWN_CLOSES = 250;

const form = byId("form");

/**
 * @param {string} symbol in upper case
 * @param {string} typed the same as the reader wrote it
 * @param {{again: () => void, refuse: (problems: string[]) => void}} callbacks again: ask once more, with an API key
 */
export async function askAboutSymbol(symbol, typed, { again, refuse }) {
  if (!isSymbol(symbol)) {
    refuse([faultOf(typed)]);
    return;
  }
  const url = `${form.dataset.forecast}/${encodeURIComponent(symbol)}?horizon=${HORIZON}&closes=${SHOWN_CLOSES}&levels=${LEVELS}`;
  const address = new URL(url, location.href).href;
  await askServer({
    progress: t("Asking for the newest closes of {symbol} …", { symbol }),
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
    404: t("Check the symbol: Yahoo Finance writes KO, PETR4.SA, BRK-B or ^GSPC."),
    503: retryAfter
      ? nt(
          "Try again in {count} second, or choose one of the symbols below.",
          "Try again in {count} seconds, or choose one of the symbols below.",
          retryAfter,
        )
      : t("Choose one of the symbols below."),
  }[status];
  return [told(error), advice ?? retryAdvice(retryAfter)].filter(Boolean);
}
