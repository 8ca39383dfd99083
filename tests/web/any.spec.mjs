// SPDX-License-Identifier: MIT
// What holds with any model: against the mock, and against a weir serve:
//     build/weir serve & WEIR_URL=http://127.0.0.1:8080/ tests/web/run.sh any.spec
import { readFileSync } from "node:fs";
import { axe, expect, lastReply, say, settled, test } from "./fixtures.mjs";

const built = (name) =>
  readFileSync(new URL(`../../src/serve/${name}`, import.meta.url), "utf8").trim();

test("the page is the one that was built, with its policy", async ({ mock, request }) => {
  const response = await request.get(mock.url);
  expect(response.status()).toBe(200);
  expect(response.headers()["content-type"]).toMatch(/^text\/html; *charset=utf-8$/i);
  expect(response.headers()["content-security-policy"]).toBe(built("page.policy"));
  expect((await response.text()).trim()).toBe(built("page.html"));
});

test("a conversation of two turns has bills, and the prompt of the second is cached", async ({
  chat,
}) => {
  const bill = chat.getByRole("complementary", { name: "Bill of the reply" });
  for (const text of ["Hello, my name is Nadia.", "Tell me a story about a miller."]) {
    await say(chat, text);
    await settled(chat);
    await expect(lastReply(chat).locator(".markdown")).not.toBeEmpty();
    await expect(lastReply(chat).locator(".failure")).toHaveCount(0);
    await expect(lastReply(chat).locator(".cost")).toHaveText(
      /^[\d\u202f]+ tokens \u00b7 .* tokens\/s$/,
    );
  }
  await expect(bill.getByRole("row", { name: /^Weights [\d.]+ [kMG]B/ })).toBeVisible();
  await expect(bill.getByRole("row", { name: /^State [\d.]+ [kMG]B/ })).toBeVisible();
  await expect(bill.getByText(/^[1-9][\d\u202f]* of [\d\u202f]+$/).first()).toBeVisible();
  const cached = bill.locator(".gauge", { hasText: "Prompt cached" }).locator(".figure");
  await expect(cached).toHaveText(/^[1-9]/);
  expect(await axe(chat)).toEqual([]);
});

test("a reply is stopped, and another one comes", async ({ chat }) => {
  // Of the mock, a slow one; a model is asked for what takes it some time.
  await say(chat, "mock:endless Tell me a long story about a miller named Flora and her dog.");
  await expect(lastReply(chat).locator(".markdown, .reasoning")).not.toHaveCount(0);
  await chat.keyboard.press("Escape");
  await settled(chat);
  await chat.getByRole("button", { name: "New conversation" }).click();
  await say(chat, "Hello.");
  await settled(chat);
  await expect(lastReply(chat).locator(".markdown")).not.toBeEmpty();
});
