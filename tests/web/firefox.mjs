// SPDX-License-Identifier: MIT
// The page in Debian's Firefox, as far as browsers differ: focus, keys, streams, what is kept, tabs.
// The rest is tested in Chromium (run.sh). By itself: node tests/web/firefox.mjs
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import puppeteer from "puppeteer-core";
import { key, openMock } from "./mock.mjs";

const wait_ms = 60_000; // a bound for what hangs, and no measure: a machine may be slow
const poll_ms = 20;
let browser;

before(async () => {
  browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    defaultViewport: { width: 1280, height: 800 },
    timeout: wait_ms,
    protocolTimeout: wait_ms,
  });
});

after(() => browser?.close());

// Until a function of the page is true. Not by puppeteer's own, which the policy of the page forbids.
async function until(page, isSo, ...args) {
  const end = Date.now() + wait_ms;
  while (!(await page.evaluate(isSo, ...args))) {
    if (Date.now() > end) {
      const shown = await page.evaluate(() => document.body.innerText);
      assert.fail(`not in ${wait_ms} ms: ${isSo} of ${JSON.stringify(args)}; shown:\n${shown}`);
    }
    await new Promise((resolve) => setTimeout(resolve, poll_ms));
  }
}

const shows = (page, text) => until(page, (it) => document.body.textContent.includes(it), text);
const settled = (page) => until(page, () => document.querySelector('[aria-label="Send"]') !== null);
const focusIsIn = (page, name) =>
  until(page, (it) => document.activeElement?.getAttribute("aria-label") === it, name);
const press = (page, name) => page.locator(`button[aria-label="${name}"]`).click();
const pressText = (page, text) => page.locator(`button ::-p-text(${text})`).click();

async function say(page, text) {
  await page.locator("#message").click();
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

// A page that is open and ready, and watched.
async function openPage(context, mock, faults, address = mock.url) {
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.goto(address);
  await shows(page, "(ready)");
  await until(page, () => document.querySelector(".side ul").ariaBusy === "false");
  return page;
}

// A test with a server and a store of its own.
function pageTest(name, run) {
  test(name, async () => {
    const mock = await openMock();
    const context = await browser.createBrowserContext();
    const faults = [];
    try {
      const open = (address) => openPage(context, mock, faults, address);
      await run({ page: await open(), mock, open });
      assert.deepEqual(faults, []);
      assert.deepEqual(mock.strays, []);
    } finally {
      await context.close();
      await mock.close();
    }
  });
}

pageTest(
  "a message is answered, and all of it is there when the page is loaded again",
  async ({ page }) => {
    await focusIsIn(page, "Message");
    await page.keyboard.type("hello");
    await page.keyboard.press("Enter");
    await shows(page, "Hello there. What shall we talk about?");
    await settled(page);
    await shows(page, "Reasoned for");
    await shows(page, "tokens/s");
    await focusIsIn(page, "Message");
    // What is released, is kept.
    await until(page, async () => (await navigator.locks.query()).held.length === 0);
    await page.reload();
    await shows(page, "Hello there. What shall we talk about?");
    await focusIsIn(page, "Message");
  },
);

pageTest("a reply is stopped by Escape and by its button", async ({ page, mock }) => {
  await say(page, "mock:endless");
  await shows(page, "drop after drop");
  await page.keyboard.press("Escape");
  await settled(page);
  await shows(page, "Stopped.");
  await say(page, "mock:endless again");
  await until(page, () => document.querySelectorAll(".markdown").length === 2);
  await press(page, "Stop");
  await settled(page);
  await focusIsIn(page, "Message");
  await until(page, () => document.querySelectorAll(".ending").length === 2);
  await say(page, "hello");
  await shows(page, "Hello there.");
  assert.deepEqual(mock.closed, ["endless", "endless"]); // the server has heard of it
});

pageTest(
  "a conversation is renamed where the focus is, deleted, and had back",
  async ({ page }) => {
    await say(page, "hello");
    await settled(page);
    await press(page, "Rename: hello");
    await focusIsIn(page, "New name");
    await page.keyboard.type("Greetings"); // in place of the name, which is selected
    await page.keyboard.press("Enter");
    await focusIsIn(page, "Rename: Greetings");
    await until(page, () => document.querySelector("h1").textContent === "Greetings");
    await press(page, "Delete: Greetings");
    await until(page, () => document.querySelectorAll("article, .entry").length === 0);
    await pressText(page, "Undo");
    await shows(page, "Hello there.");
  },
);

pageTest("what was said is said otherwise", async ({ page, mock }) => {
  await say(page, "hello");
  await settled(page);
  await pressText(page, "Edit");
  await focusIsIn(page, "Your message, changed");
  await page.keyboard.press("End");
  await page.keyboard.type(" again");
  await page.keyboard.press("Enter");
  await until(page, () => document.querySelector(".said")?.textContent === "hello again");
  await settled(page);
  await focusIsIn(page, "Messages");
  assert.equal(mock.requests.length, 2);
});

pageTest("a key is asked for, and kept with the settings", async ({ page, mock }) => {
  mock.needsKey = true;
  await say(page, "hello");
  await shows(page, "Invalid API Key");
  await pressText(page, "Enter the key");
  await until(page, () => document.activeElement?.type === "password");
  await page.keyboard.type(key);
  await page.keyboard.press("Escape");
  await until(page, () => !document.querySelector("dialog"));
  await pressText(page, "Try again");
  await shows(page, "Hello there.");
  await press(page, "Settings");
  await page.locator("label ::-p-text(Dark)").click();
  await until(page, () => getComputedStyle(document.body).backgroundColor === "rgb(20, 23, 27)");
  await press(page, "Close the settings");
  await page.reload();
  await until(page, () => getComputedStyle(document.body).backgroundColor === "rgb(20, 23, 27)");
  await shows(page, "(ready)");
  await say(page, "mock:again");
  await shows(page, "Reply number 1.");
});

pageTest("a reply of one tab is seen and stopped in the other", async ({ page, open }) => {
  await say(page, "mock:endless");
  await shows(page, "drop after drop");
  const other = await open(page.url());
  await press(other, "Stop"); // it is the one in front
  await settled(other);
  await settled(page);
  await shows(page, "Stopped.");
  await say(other, "mock:again");
  await settled(other);
  await shows(page, "Reply number 1.");
  await settled(page);
  await page.bringToFront(); // behind another, a page is drawn once a second
  await say(page, "mock:again, please");
  await shows(other, "mock:again, please");
});

pageTest(
  "code and lists are laid out, and nothing that a model says is obeyed",
  async ({ page }) => {
    await say(page, "mock:markdown");
    await settled(page);
    await until(page, () => document.querySelectorAll(".markdown li").length === 4);
    await say(page, "mock:attacks");
    await settled(page);
    await until(page, () => document.querySelectorAll(".call").length === 1);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
  },
);
