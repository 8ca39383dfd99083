// SPDX-License-Identifier: MIT
// Taking turns with the page: tests/web/run.sh chat.spec
import { axe, expect, lastReply, messageBox, say, settled, test } from "./fixtures.mjs";

test("a message is answered, with reasoning folded and a bill", async ({ chat, mock }) => {
  await say(chat, "hello");
  await settled(chat);
  const reply = lastReply(chat);
  await expect(reply.locator(".markdown")).toHaveText("Hello there. What shall we talk about?");
  await expect(reply.locator(".thought")).toBeHidden();
  await reply.getByText(/^Reasoned for/).click();
  await expect(reply.locator(".thought")).toHaveText("The user greets. A greeting is fit.");
  expect(mock.requests).toHaveLength(1);
  expect(mock.requests[0]).toEqual({
    messages: [{ role: "user", content: "hello" }],
    stream: true,
    stream_options: { include_usage: true },
    timings_per_token: true,
    return_progress: true,
  });
  const bill = chat.getByRole("complementary", { name: "Bill of the reply" });
  await expect(bill.getByText("50 tokens/s", { exact: true })).toBeVisible();
  // The sum of the mock's classes: 55169056 bytes a token.
  await expect(bill.getByText("55.2 MB", { exact: true })).toBeVisible();
  await expect(bill.getByRole("row", { name: "Weights 41 MB 74.3%" })).toBeVisible();
  await expect(bill.getByText("32 of 2\u202f048")).toBeVisible(); // 20 of the prompt, 12 tokens
  await expect(bill.getByText("12 of 20")).toBeVisible();
  await expect(bill.getByText("12 of 24")).toBeVisible();
});

test("what was said goes back with the next message", async ({ chat, mock }) => {
  await say(chat, "hello");
  await settled(chat);
  await say(chat, "mock:again");
  await settled(chat);
  expect(mock.requests[1].messages).toEqual([
    { role: "user", content: "hello" },
    {
      role: "assistant",
      content: "Hello there. What shall we talk about?",
      reasoning_content: "The user greets. A greeting is fit.\n",
    },
    { role: "user", content: "mock:again" },
  ]);
});

test("Escape and the button stop a reply, and what came stays", async ({ chat, mock }) => {
  for (const stop of [
    () => chat.keyboard.press("Escape"),
    () => chat.getByRole("button", { name: "Stop" }).click(),
  ]) {
    await say(chat, "mock:endless");
    await expect(lastReply(chat)).toContainText("drop after drop");
    await stop();
    await settled(chat);
    await expect(lastReply(chat)).toContainText("Stopped.");
    await expect(lastReply(chat)).toContainText("drop after drop");
  }
  await expect.poll(() => mock.closed).toEqual(["endless", "endless"]); // the server hears of it
});

test("stopping a reply does not send what is written meanwhile", async ({ chat, mock }) => {
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await messageBox(chat).fill("a thought");
  await chat.getByRole("button", { name: "Stop" }).click();
  await expect(lastReply(chat)).toContainText("Stopped.");
  await expect(messageBox(chat)).toHaveValue("a thought");
  await expect(messageBox(chat)).toBeFocused();
  await chat.getByRole("button", { name: "Send", exact: true }).click();
  await expect(lastReply(chat)).toContainText("Hello there.");
  await expect(messageBox(chat)).toBeFocused();
  expect(mock.requests.map(({ messages }) => messages.at(-1).content)).toEqual([
    "mock:endless",
    "a thought",
  ]);
});

test("another reply takes the place of the last one", async ({ chat, mock }) => {
  await say(chat, "mock:again");
  await expect(lastReply(chat)).toContainText("Reply number 1.");
  await chat.getByRole("button", { name: "Another reply" }).click();
  await expect(lastReply(chat)).toContainText("Reply number 2.");
  await expect(chat.locator("article")).toHaveCount(2);
  expect(mock.requests[1]).toEqual(mock.requests[0]);
});

test("the last message can be said otherwise", async ({ chat, mock }) => {
  await say(chat, "hello");
  await settled(chat);
  await say(chat, "mock:agan");
  await settled(chat);
  await expect(chat.getByRole("button", { name: "Edit" })).toHaveCount(1);
  await chat.getByRole("button", { name: "Edit" }).click();
  const editor = chat.getByRole("textbox", { name: "Your message, changed" });
  await expect(editor).toBeFocused();
  await editor.fill("mock:again");
  await editor.press("Enter");
  await expect(lastReply(chat)).toContainText("Reply number 1.");
  await expect(chat.locator("article")).toHaveCount(4);
  expect(mock.requests[2].messages.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
});

test("Shift+Enter begins a line, and blanks are no message", async ({ chat, mock }) => {
  const box = messageBox(chat);
  await box.fill("  ");
  await box.press("Enter");
  await box.fill("");
  await box.pressSequentially("one");
  await box.press("Shift+Enter");
  await box.pressSequentially("two");
  await box.press("Enter");
  await settled(chat);
  expect(mock.requests.map(({ messages }) => messages[0].content)).toEqual(["one\ntwo"]);
});

test("calls are shown, and their results go back in order", async ({ chat, mock }) => {
  await say(chat, "mock:tools");
  await settled(chat);
  const reply = lastReply(chat);
  await expect(reply.getByRole("heading", { name: "call weather" })).toBeVisible();
  await expect(reply.getByText("Kiel", { exact: true })).toBeVisible();
  await expect(reply.getByText("No arguments.")).toBeVisible();
  expect(await axe(chat)).toEqual([]);
  await reply.getByRole("textbox", { name: "Result of weather" }).fill("rain");
  await reply.getByRole("textbox", { name: "Result of clock" }).fill("noon");
  await reply.getByRole("button", { name: "Send the results" }).click();
  await expect(lastReply(chat)).toContainText("The tool said: noon");
  expect(mock.requests[1].messages.slice(1)).toEqual([
    {
      role: "assistant",
      content: "I look it up.",
      tool_calls: [
        {
          id: "call_0",
          type: "function",
          function: { name: "weather", arguments: '{"place":"Kiel"}' },
        },
        { id: "call_1", type: "function", function: { name: "clock", arguments: "{}" } },
      ],
    },
    { role: "tool", tool_call_id: "call_0", name: "weather", content: "rain" },
    { role: "tool", tool_call_id: "call_1", name: "clock", content: "noon" },
  ]);
});

test("a curve shows how fast the last tokens came", async ({ chat }) => {
  await say(chat, "mock:endless");
  await expect(chat.locator(".curve")).toBeVisible();
  await chat.keyboard.press("Escape");
  await settled(chat);
  // 50 tokens a second, all the time: the mock's own clock says so.
  const heights = await chat.locator(".curve polyline").evaluate((line) =>
    line
      .getAttribute("points")
      .split(" ")
      .map((point) => point.split(",")[1]),
  );
  expect(heights.length).toBeGreaterThanOrEqual(4);
  expect(new Set(heights).size).toBe(1);
});

test("while a long prompt is read, how far is told", async ({ chat, mock }) => {
  await say(chat, "mock:prompt");
  for (const read of ["0", "512", "1\u202f024", "1\u202f536"]) {
    await expect(chat.getByText(`${read} of 2\u202f048 tokens read`)).toBeVisible();
    await expect(chat.getByRole("progressbar", { name: "The prompt" })).toBeVisible();
    mock.go();
  }
  await expect(chat.getByRole("progressbar")).toHaveCount(0);
  mock.go();
  await settled(chat);
  await expect(lastReply(chat)).toContainText("Read.");
  await expect(chat.getByRole("progressbar")).toHaveCount(0);
});

test("a reply that is cut says so", async ({ chat }) => {
  await say(chat, "mock:length");
  await expect(lastReply(chat)).toContainText("The reply was cut");
});

test("two conversations can be answered at once", async ({ chat }) => {
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await chat.getByRole("button", { name: "New conversation" }).click();
  await say(chat, "hello");
  await expect(lastReply(chat)).toContainText("Hello there.");
  await settled(chat);
  await chat.getByRole("button", { name: "A reply comes: mock:endless" }).click();
  await expect(chat.getByRole("button", { name: "Stop" })).toBeVisible();
  await chat.keyboard.press("Escape");
  await settled(chat);
});

test("a reader who has gone up is left there", async ({ chat, mock }) => {
  await chat.setViewportSize({ width: 800, height: 400 });
  await say(chat, "mock:endless");
  const box = chat.locator(".scroller");
  const height = () => box.evaluate((it) => it.scrollHeight - it.clientHeight);
  const fromEnd = () => box.evaluate((it) => it.scrollHeight - it.clientHeight - it.scrollTop);
  const grow = async () => {
    const before = await height();
    mock.go();
    await expect.poll(height).toBeGreaterThan(before);
  };
  await expect.poll(height).toBeGreaterThan(90);
  await grow();
  await expect.poll(fromEnd).toBeLessThan(5);
  await box.evaluate((it) => it.scrollTo(0, 0));
  const end = chat.getByRole("button", { name: "To the end" });
  await expect(end).toBeVisible();
  await grow();
  expect(await box.evaluate((it) => it.scrollTop)).toBe(0);
  await end.click();
  await expect.poll(fromEnd).toBeLessThan(5);
  await expect(end).toBeHidden();
  await chat.keyboard.press("Escape");
  await settled(chat);
});
