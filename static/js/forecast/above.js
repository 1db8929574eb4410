/** "Above which price?": the probability that the closes of the forecast that is shown are above a price, which is a line of the chart too. */

import { forecastSymbol, predict, predictFile } from "../shared/api.js";
import { askForKey, keepKey, keyHeader } from "../shared/apiKey.js";
import { createPriceLine } from "../chart/priceLine.js";
import { dayText, percent, priceFormat, readNumber, steps } from "../shared/format.js";
import { showProblems } from "../shared/messages.js";
import { byId } from "../shared/dom.js";
import { told } from "../shared/sentences.js";
import { t } from "../shared/texts.js";

/** @typedef {import("../shared/api.js").Answer} Answer */
/** @typedef {import("./snippets.js").Call} Call */

const LEAST = 0.005; // the smallest and, from 1, the largest probability that the server knows
const ROUNDING = 1e-9; // in the server's answers

const form = byId("above-form");
const field = byId("above");
const place = byId("above-answer");
let call = /** @type {Call | null} */ (null);
let questions = 0;
let answered = /** @type {{price: string, path: import("../shared/api.js").Step[]} | null} */ (null);
let format = /** @type {(price: number) => string} */ (String);
const line = createPriceLine((price) => {
  field.value = format(price);
  ask();
});

/** Draw the line of the price on the chart. @param {any} plot uPlot's object */
export function drawAbove(plot) {
  line.draw(plot);
}

/** The probability of one day, in words; empty if no price is asked about. @param {number} step */
export function aboveOn(step) {
  const found = answered?.path[step - 1];
  return found ? t(", above {price} {chance}", { price: answered?.price ?? "", chance: chance(found) }) : "";
}

/**
 * Ask about a new forecast from now on.
 * @param {Call} shown the call of the forecast
 * @param {number} close the last one, where the line begins
 */
export function startAbove(shown, close) {
  call = shown;
  questions++;
  answered = null;
  format = priceFormat(close, { grouping: false }); // as in the field
  line.put(close, format);
  field.value = "";
  field.placeholder = format(close);
  place.textContent = "";
  showProblems(field, byId("above-error"), []);
}

async function ask() {
  const price = readNumber(field.value);
  const problems = price > 0 && Number.isFinite(price) ? [] : [t("Write a positive price, with a point as the decimal mark.")];
  showProblems(field, byId("above-error"), problems);
  place.textContent = "";
  if (problems.length || !call) {
    field.focus();
    return;
  }
  const mine = ++questions;
  const reply = await askAbout(price, call);
  if (mine !== questions) {
    return; // another question or another forecast since
  }
  if (reply.ok) {
    keepKey();
    answered = { price: field.value.trim(), path: reply.answer.path };
    line.put(price, format);
    place.textContent = sentence(reply.answer, field.value.trim());
  } else if (reply.status === 401) {
    askForKey(ask);
  } else {
    showProblems(field, byId("above-error"), [reply.error, ...reply.details].map((sentence) => told(sentence)));
  }
}

/**
 * Send the call of the forecast again, with a price.
 * @param {number} price
 * @param {Call} call
 * @returns {Promise<import("../shared/api.js").Reply<Answer>>}
 */
function askAbout(price, { url, body, content }) {
  const headers = keyHeader();
  if (body) {
    return predict(url, /** @type {any} */ ({ ...body, above: [price] }), headers);
  }
  const address = `${url}&above=${encodeURIComponent(price)}`;
  return content ? predictFile(address, content, headers) : forecastSymbol(address, headers);
}

/**
 * @param {Answer} answer
 * @param {string} price as it was written
 */
function sentence({ path, warnings }, price) {
  const first = path[0];
  const last = path[path.length - 1];
  const values = { price, day: dateOf(first), chance: chance(first) };
  if (last === first) {
    return t("The next close{day} is above {price} {chance}.", values);
  }
  return t("The next close{day} is above {price} {chance}, the close {steps} ahead{lastDay} {lastChance}.", {
    ...values,
    steps: steps(last.step, warnings),
    lastDay: dateOf(last),
    lastChance: chance(last),
  });
}

/** @param {import("../shared/api.js").Step} step */
function dateOf({ date }) {
  return date ? ` (${dayText(date)})` : "";
}

/** @param {import("../shared/api.js").Step} step */
function chance({ probability_above: [probability] = [NaN] }) {
  if (probability <= LEAST + ROUNDING) {
    return t("with a probability of less than {percent}", { percent: percent(LEAST) });
  }
  return probability >= 1 - LEAST - ROUNDING
    ? t("with a probability of more than {percent}", { percent: percent(1 - LEAST) })
    : t("with a probability of {percent}", { percent: percent(probability) });
}

form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  ask();
});
field.addEventListener("input", () => showProblems(field, byId("above-error"), []));
