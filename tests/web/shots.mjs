// SPDX-License-Identifier: MIT
// Pictures of the page, to be looked at: node shots.mjs [FOLDER].
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
  await page.locator(".curve").waitFor();
  await shot("running");
  await context.close();
  await mock.close();
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath });
for (const size of Object.keys(sizes)) {
  for (const scheme of ["light", "dark"]) await shoot(browser, size, scheme);
}
await browser.close();
