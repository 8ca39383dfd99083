// SPDX-License-Identifier: MIT
// Pictures of the page, to be looked at: node shots.mjs [FOLDER]. With the address of a weir serve
// in WEIR_URL, the one of docs/server.md:
//     build/weir serve & WEIR_URL=http://127.0.0.1:8080/ node tests/web/shots.mjs docs
import { mkdirSync } from "node:fs";
import { chromium } from "@playwright/test";
import { openMock } from "./mock.mjs";

const folder = process.argv[2] ?? "../../build/web-shots";
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium-headless-shell";

const sizes = {
  wide: { width: 1360, height: 850 },
  middle: { width: 900, height: 760 },
  phone: { width: 390, height: 780 },
  narrow: { width: 320, height: 640 },
};

async function say(page, text) {
  await page.getByRole("textbox", { name: "Message", exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
}

async function shoot(browser, size, colorScheme) {
  const mock = await openMock();
  const context = await browser.newContext({ viewport: sizes[size], colorScheme });
  const page = await context.newPage();
  const shot = (name) => page.screenshot({ path: `${folder}/${size}-${colorScheme}-${name}.png` });
  await page.goto(mock.url);
  await page.getByText("(ready)").waitFor({ state: "attached" });
  await shot("empty");
  await say(page, "hello");
  await say(page, "Tell me about Markdown, please.\nWith an example.");
  await say(page, "mock:markdown");
  await shot("markdown");
  await page.locator(".scroller").evaluate((it) => it.scrollTo(0, 0));
  await shot("top");
  await page.getByRole("button", { name: "Settings" }).click();
  await shot("settings");
  await page.keyboard.press("Escape");
  if (size === "phone") {
    await page.getByText("Bill", { exact: true }).click();
    await shot("bill");
    await page.getByText("Bill", { exact: true }).click();
    await page.getByRole("button", { name: "Conversations" }).click();
    await shot("side");
    await page.keyboard.press("Escape");
  }
  await page.evaluate(() => document.querySelector(".side .new").click());
  await say(page, "mock:tools");
  await shot("tools");
  await say(page, "mock:busy");
  await shot("refused");
  await page.getByRole("textbox", { name: "Message", exact: true }).fill("mock:endless");
  await page.keyboard.press("Enter");
  await page.locator(".curve").waitFor({ state: "attached" }); // unseen where the bill is folded
  await shot("running");
  await context.close();
  await mock.close();
}

// What the shipped model says, with the bill of its last reply.
async function shootServer(browser, url) {
  const context = await browser.newContext({
    viewport: { width: 1200, height: 600 },
    deviceScaleFactor: 1.25,
    colorScheme: "light",
  });
  const page = await context.newPage();
  // The likeliest tokens, so that the same model says the same again.
  await page.addInitScript(() => localStorage.setItem("weir.settings", '{"temperature":0}'));
  await page.goto(url);
  await page.getByText("(ready)").waitFor({ state: "attached" });
  const texts = ["Who are you?", "Where does a fish live?", "Tell me a story about a miller."];
  for (const text of texts) {
    await page.getByRole("button", { name: "New conversation" }).click();
    await say(page, text);
  }
  await page.screenshot({ path: `${folder}/server.png` });
  await context.close();
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath });
if (process.env.WEIR_URL) await shootServer(browser, process.env.WEIR_URL);
else {
  for (const size of Object.keys(sizes)) {
    for (const scheme of ["light", "dark"]) await shoot(browser, size, scheme);
  }
}
await browser.close();
