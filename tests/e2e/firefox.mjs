/** The page's main path in a real Firefox, over WebDriver BiDi: node tests/e2e/firefox.mjs URL FIREFOX. It ends with 1 if something is wrong. */

import assert from "node:assert/strict";

import puppeteer from "puppeteer-core";

const SECONDS = 60; // for one step; the service may import pandas first
const [url, executablePath] = process.argv.slice(2);
const complaints = [];

/** How many pixels of a canvas are drawn. */
const drawn = (canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let place = 3; place < data.length; place += 4) {
    count += data[place] > 0;
  }
  return count;
};

/** Wait until an element has a text that matches. */
function waitForText(page, selector, pattern) {
  const matches = (wanted, source) => new RegExp(source).test(document.querySelector(wanted)?.innerText ?? "");
  return page.waitForFunction(matches, {}, selector, pattern.source).catch(async (error) => {
    const found = await page.$eval(selector, (element) => element.innerText).catch(() => "nothing");
    throw new Error(`${selector}: ${pattern} expected, ${JSON.stringify(found)} found`, { cause: error });
  });
}

async function chartIsDrawn(page, selector) {
  const canvas = await page.waitForSelector(`${selector} canvas`, { visible: true });
  assert.ok((await canvas.evaluate(drawn)) > 1000, `${selector} is not drawn`);
}

async function ask(page, text) {
  await page.$eval("#question", (field) => field.select());
  await page.type("#question", text);
  await page.click("#submit");
}

async function openTab(page, name) {
  await page.click(`#tab-${name}`);
  await page.waitForSelector(`#panel-${name}`, { visible: true });
}

async function walk(page) {
  await page.goto(url);
  await waitForText(page, "#result-title", /^MSFT, an example$/);
  await waitForText(page, "#next-close .range", /^[\d.,]+ to [\d.,]+$/);
  await chartIsDrawn(page, "#chart");

  await ask(page, "coca-cola");
  await waitForText(page, "#result-title", /^KO$/);
  await waitForText(page, "#origin", /^Last close [\d.,]+ on \d{4}-\d{2}-\d{2}/);
  assert.equal(new URL(page.url()).search, "?symbol=KO");
  await chartIsDrawn(page, "#chart");

  const closes = await page.$eval("#example", (script) => JSON.parse(script.textContent).closes);
  await page.$eval("#question", (field, pasted) => { field.value = pasted; field.dispatchEvent(new Event("input")); }, closes.join("\n"));
  await page.click("#submit");
  await waitForText(page, "#result-title", /^Your closes$/);
  await chartIsDrawn(page, "#chart");

  await openTab(page, "watchlist");
  await page.waitForFunction(() => document.querySelectorAll("#watch-table .sparkline").length === 5);
  await openTab(page, "backtest");
  await chartIsDrawn(page, "#backtest-chart");
  await chartIsDrawn(page, "#calibration-chart");
  await openTab(page, "monitoring");
  await waitForText(page, '[data-monitor="requests"]', /^[1-9]/);
  await chartIsDrawn(page, "#rate-chart");
}

const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(SECONDS * 1000);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && complaints.push(message.text()));
  await page.setViewport({ width: 1280, height: 900 });
  await walk(page);
  assert.deepEqual(complaints, []);
  console.log(await browser.version());
} catch (error) {
  console.error(`${error.message}\n${complaints.join("\n")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
