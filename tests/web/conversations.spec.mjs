// SPDX-License-Identifier: MIT
// Conversations that are kept, and settings: tests/web/run.sh conversations.spec
import { readFile } from "node:fs/promises";
import { expect, lastReply, list, reload, say, settled, test } from "./fixtures.mjs";
import { key } from "./mock.mjs";

const titles = (page) => list(page).locator(".title");
const openSettings = (page) => page.getByRole("button", { name: "Settings", exact: true }).click();

test("conversations outlive the page, each at its address", async ({ chat }) => {
  await say(chat, "first");
  await settled(chat);
  await chat.getByRole("button", { name: "New conversation" }).click();
  await say(chat, "second");
  await settled(chat);
  await expect(titles(chat)).toHaveText(["second", "first"]);
  await list(chat).getByRole("button", { name: "first", exact: true }).click();
  await expect(chat).toHaveTitle("first \u2013 weir");
  const address = chat.url();
  await reload(chat);
  await expect(chat.getByRole("heading", { level: 1 })).toHaveText("first");
  await expect(lastReply(chat)).toContainText("Hello there.");
  expect(chat.url()).toBe(address);
});

test("a reply that the page's end has cut is kept as far as it came", async ({ chat }) => {
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await chat.reload();
  await expect(chat.locator("article.user")).toContainText("mock:endless");
  await expect(lastReply(chat)).toContainText("Stopped.");
  await expect(chat.getByRole("button", { name: "Another reply" })).toBeVisible();
});

test("a conversation is renamed", async ({ chat }) => {
  await say(chat, "hello");
  await settled(chat);
  await list(chat).getByRole("button", { name: "Rename: hello" }).click();
  const field = chat.getByRole("textbox", { name: "New name" });
  await expect(field).toBeFocused();
  await field.fill("never");
  await field.press("Escape");
  await expect(titles(chat)).toHaveText(["hello"]);
  await list(chat).getByRole("button", { name: "Rename: hello" }).click();
  await field.fill("Greetings");
  await field.press("Enter");
  await expect(titles(chat)).toHaveText(["Greetings"]);
  await reload(chat);
  await expect(titles(chat)).toHaveText(["Greetings"]);
});

test("a conversation is deleted, and that is undone", async ({ chat }) => {
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  const remove = () => list(chat).getByRole("button", { name: "Delete: mock:endless" }).click();
  await remove();
  await expect(titles(chat)).toHaveCount(0);
  await expect(chat.locator("article")).toHaveCount(0);
  await chat.getByRole("button", { name: "Undo" }).click();
  await expect(lastReply(chat)).toContainText("Stopped.");
  await reload(chat);
  await expect(titles(chat)).toHaveText(["mock:endless"]);
  await remove();
  await reload(chat);
  await expect(list(chat).locator("ul")).toHaveAttribute("aria-busy", "false");
  await expect(titles(chat)).toHaveCount(0);
});

test("conversations go into a file and come back, without the key", async ({ chat }, info) => {
  await openSettings(chat);
  await chat.getByLabel("API key").fill(key);
  await chat.keyboard.press("Escape");
  await say(chat, "mock:tools");
  await settled(chat);
  const [download] = await Promise.all([
    chat.waitForEvent("download"),
    chat.getByRole("button", { name: "Export" }).click(),
  ]);
  expect(download.suggestedFilename()).toBe("weir-conversations.json");
  const path = info.outputPath("conversations.json");
  await download.saveAs(path);
  expect(await readFile(path, "utf8")).not.toContain(key);
  const choose = async (files) => {
    const [chooser] = await Promise.all([
      chat.waitForEvent("filechooser"),
      chat.getByRole("button", { name: "Import" }).click(),
    ]);
    await chooser.setFiles(files);
  };
  await choose(path);
  await expect(chat.getByText("Imported 1 conversation.")).toBeVisible();
  await expect(titles(chat)).toHaveText(["mock:tools", "mock:tools"]);
  await choose({ name: "x.json", mimeType: "application/json", buffer: Buffer.from("[]") });
  await expect(chat.getByText("The file has no conversations of this page")).toBeVisible();
  await chat.getByRole("button", { name: "Dismiss" }).click();
  await expect(chat.getByText("The file has no conversations")).toHaveCount(0);
});

test("a browser without room, or without a store, says so", async ({ page, mock, faults: _ }) => {
  await page.addInitScript(() => {
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
  });
  await page.goto(mock.url);
  await say(page, "hello");
  await expect(page.getByText("The browser has no room left")).toBeVisible();
  await expect(lastReply(page)).toContainText("Hello there.");
  await page.addInitScript(() => {
    Object.defineProperty(window, "indexedDB", { value: undefined });
    Object.defineProperty(window, "localStorage", { value: undefined });
  });
  await page.reload();
  await expect(page.getByText("This browser keeps nothing for this page")).toBeVisible();
  await say(page, "hello");
  await expect(lastReply(page)).toContainText("Hello there.");
});

test("settings are sent, kept, and given back to the server", async ({ chat, mock }) => {
  const tool = { type: "function", function: { name: "f", parameters: { type: "object" } } };
  await openSettings(chat);
  await expect(chat.getByLabel("Temperature")).toHaveAttribute("placeholder", "0.8");
  await chat.getByLabel("System prompt").fill("Be brief.");
  await chat.getByLabel("Off", { exact: true }).check();
  await chat.getByLabel("Temperature").fill("0.35");
  await chat.getByLabel("Top p").fill("0.9");
  await chat.getByLabel("Top k").fill("20");
  await chat.getByLabel("Min p").fill("0");
  await chat.getByLabel("Tokens at most").fill("300");
  await chat.getByLabel("Seed").fill("7");
  await chat.getByLabel("Tools").fill(JSON.stringify([tool]));
  await chat.keyboard.press("Escape");
  await reload(chat);
  await say(chat, "hello");
  await settled(chat);
  expect(mock.requests[0]).toMatchObject({
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: "hello" },
    ],
    temperature: 0.35,
    top_p: 0.9,
    top_k: 20,
    min_p: 0,
    max_tokens: 300,
    seed: 7,
    tools: [tool],
    chat_template_kwargs: { enable_thinking: false },
  });
  await openSettings(chat);
  for (const name of [
    "Temperature",
    "Top p",
    "Top k",
    "Min p",
    "Tokens at most",
    "Seed",
    "Tools",
  ]) {
    await chat.getByLabel(name).fill("");
  }
  await chat.getByLabel("System prompt").fill("");
  await chat.getByLabel("As the model does").check();
  await chat.getByRole("button", { name: "Close the settings" }).click();
  await chat.getByRole("button", { name: "New conversation" }).click();
  await say(chat, "hello");
  await settled(chat);
  expect(Object.keys(mock.requests[1]).sort()).toEqual([
    "messages",
    "return_progress",
    "stream",
    "stream_options",
    "timings_per_token",
  ]);
});

test("values out of range are not taken, and tools that are none are told", async ({
  chat,
  mock,
}) => {
  await openSettings(chat);
  await chat.getByLabel("Top p").fill("1.5");
  await expect(chat.getByLabel("Top p")).toHaveCSS(
    "border-color",
    /rgb\((180, 35, 24|255, 138, 122)\)/,
  );
  await chat.getByLabel("Tools").fill("[{]");
  await expect(chat.getByText(/^Not JSON:/)).toBeVisible();
  await chat.keyboard.press("Escape");
  await say(chat, "hello");
  await settled(chat);
  expect(mock.requests[0]).not.toHaveProperty("top_p");
  expect(mock.requests[0]).not.toHaveProperty("tools");
});

test("colours follow the system until they are chosen", async ({ chat }) => {
  const page = () =>
    chat.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
  const [light, dark] = ["rgb(255, 255, 255)", "rgb(20, 23, 27)"];
  await chat.emulateMedia({ colorScheme: "dark" });
  await expect.poll(page).toBe(dark);
  await chat.emulateMedia({ colorScheme: "light" });
  await expect.poll(page).toBe(light);
  await openSettings(chat);
  await chat.getByLabel("Dark").check();
  await expect.poll(page).toBe(dark);
  await reload(chat);
  await expect.poll(page).toBe(dark);
});
