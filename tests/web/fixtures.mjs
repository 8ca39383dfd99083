// SPDX-License-Identifier: MIT
// What each test of the page has: a server of its own, or that at WEIR_URL, and a page that is
// watched: no error, no breach of the policy, no request to anywhere else.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test as base, expect } from "@playwright/test";
import { openMock } from "./mock.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const isNoise = (text) => /Failed to load resource|net::ERR/.test(text); // of answers that refuse

export const test = base.extend({
  mock: async ({}, use) => {
    const url = process.env.WEIR_URL;
    const mock = url ? { url, requests: [], strays: [], go() {}, close() {} } : await openMock();
    await use(mock);
    await mock.close();
  },
  // Slower by WEIR_THROTTLE, where that is given: what holds must hold at any speed.
  page: async ({ page }, use) => {
    const rate = Number(process.env.WEIR_THROTTLE ?? 1);
    if (rate > 1) {
      const session = await page.context().newCDPSession(page);
      await session.send("Emulation.setCPUThrottlingRate", { rate });
    }
    await use(page);
  },
  faults: async ({ page, mock }, use) => {
    const faults = [];
    page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !isNoise(message.text())) faults.push(message.text());
    });
    page.on("request", (request) => {
      const own = request.url().startsWith(mock.url) || /^(data|blob):/.test(request.url());
      if (!own) faults.push(`request: ${request.url()}`);
    });
    await use(faults);
    expect(faults).toEqual([]);
    expect(mock.strays).toEqual([]);
  },
  // The page, open and ready: it has found its server and read what it keeps.
  chat: async ({ page, mock, faults: _ }, use) => {
    await page.goto(mock.url);
    await expect(page.getByText("(ready)")).toBeAttached();
    await expect(list(page).locator("ul")).toHaveAttribute("aria-busy", "false");
    await use(page);
  },
});

export { expect };

export function list(page) {
  return page.getByRole("navigation", { name: "Conversations" });
}

export function messageBox(page) {
  return page.getByRole("textbox", { name: "Message", exact: true });
}

export async function say(page, text) {
  await messageBox(page).fill(text);
  await page.keyboard.press("Enter");
}

// Until the reply is complete: then what stops it is what sends again.
export async function settled(page) {
  await expect(page.getByRole("button", { name: "Send", exact: true })).toBeVisible();
}

// What the page has put into its store so far is there: a transaction begins behind those before it.
async function kept(page) {
  await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.open("weir", 1);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const database = request.result;
          const transaction = database.transaction("conversations", "readwrite");
          transaction.onabort = () => reject(transaction.error);
          transaction.oncomplete = () => {
            database.close();
            resolve();
          };
        };
      }),
  );
}

// Loads the page again when it has kept what it wanted to. What becomes of a page that is closed
// before is another question, and has a test of its own.
export async function reload(page) {
  await kept(page);
  await page.reload();
}

export function lastReply(page) {
  return page.locator("article.assistant").last();
}

// What axe finds of the rules of WCAG 2.2 A and AA, and of its own best practices.
export async function axe(page) {
  await page.evaluate(axeSource);
  const violations = await page.evaluate(async () => (await window.axe.run(document)).violations);
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
}
