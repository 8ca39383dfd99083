// SPDX-License-Identifier: MIT
// Whether everybody can use the page: by keys, by ear, small or dark: tests/web/run.sh access.spec
import { axe, expect, lastReply, messageBox, say, settled, test } from "./fixtures.mjs";

for (const [name, width, height, colorScheme] of [
  ["wide", 1360, 850, "light"],
  ["wide", 1360, 850, "dark"],
  ["middle", 900, 760, "light"],
  ["narrow", 320, 640, "light"],
  ["narrow", 320, 640, "dark"],
]) {
  test(`axe finds nothing, and nothing is cut off: ${name}, ${colorScheme}`, async ({ chat }) => {
    await chat.emulateMedia({ colorScheme });
    await chat.setViewportSize({ width, height });
    const check = async (what) => {
      expect(await axe(chat), what).toEqual([]);
      const scrollWidth = await chat.evaluate(() => document.documentElement.scrollWidth);
      expect(scrollWidth, what).toBeLessThanOrEqual(width);
    };
    await check("empty");
    await say(chat, "mock:markdown");
    await settled(chat);
    await check("a reply");
    await say(chat, "mock:busy");
    await settled(chat);
    await say(chat, "mock:attacks");
    await settled(chat);
    if (name !== "wide") await chat.getByRole("complementary").locator("summary").click();
    await check("calls, and the bill");
    if (name === "narrow") {
      await chat.getByRole("button", { name: "Conversations" }).click();
      await check("the list");
      await chat.keyboard.press("Escape");
    }
    await chat.getByRole("button", { name: "Settings" }).click();
    await check("settings");
  });
}

// The name of what has the focus, as it is shown or read.
const focused = (page) =>
  page.evaluate(() => {
    const it = document.activeElement;
    if (it === document.body) return "";
    return it?.getAttribute("aria-label") ?? it?.textContent?.trim() ?? "";
  });

test("all is reached by keys, and the focus is seen", async ({ chat }) => {
  await say(chat, "hello");
  await settled(chat);
  await chat.getByRole("button", { name: "To the message" }).focus();
  const reached = ["To the message"];
  for (let i = 0; i < 40; i++) {
    await chat.keyboard.press("Tab");
    const name = await focused(chat);
    if (name === "") break; // out of the page
    reached.push(name);
    const isSeen = await chat.evaluate(() => {
      const it = document.activeElement;
      const shown = it.closest(".box") ?? it; // the box around the message shows it
      const style = getComputedStyle(shown);
      return style.outlineStyle !== "none" || style.boxShadow !== "none";
    });
    expect(isSeen, name).toBe(true);
  }
  expect(reached).toEqual([
    "To the message",
    "New conversation",
    "hello",
    "Rename: hello",
    "Delete: hello",
    "Export",
    "Import",
    "Settings",
    "Messages",
    "Edit",
    "Copy: your message",
    expect.stringMatching(/^Reasoned for/),
    "Copy: the reply",
    "Another reply",
    "Message",
    expect.stringMatching(/^Bill/),
    "Figures",
  ]);
});

test("a whole conversation is had by keys alone, and the focus is never lost", async ({
  chat,
  mock,
}) => {
  const { keyboard } = chat;
  const isAt = (name) => expect.poll(() => focused(chat)).toBe(name);
  const reach = async (name, way = "Tab") => {
    for (let i = 0; i < 60 && (await focused(chat)) !== name; i++) await keyboard.press(way);
    expect(await focused(chat)).toBe(name);
  };
  const press = async (name, way) => {
    await reach(name, way);
    await keyboard.press("Enter");
  };
  await expect(messageBox(chat)).toBeFocused();
  await keyboard.type("mock:endless");
  await keyboard.press("Enter");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await press("Stop");
  await expect(lastReply(chat)).toContainText("Stopped.");
  await isAt("Message");
  await press("Another reply", "Shift+Tab");
  await expect(chat.getByRole("button", { name: "Stop" })).toBeVisible();
  await isAt("Messages");
  await keyboard.press("Escape");
  await settled(chat);
  await press("Edit");
  await isAt("Your message, changed");
  await keyboard.press("Control+A");
  await keyboard.type("mock:busy");
  await keyboard.press("Enter");
  await isAt("Messages");
  await press("Try again");
  await expect(lastReply(chat)).toContainText("Hello there.");
  await isAt("Messages");
  await reach("Message");
  await keyboard.type("mock:tools");
  await keyboard.press("Enter");
  await settled(chat);
  await lastReply(chat).getByRole("textbox", { name: "Result of weather" }).waitFor();
  await press("Send the results", "Shift+Tab");
  await expect(lastReply(chat)).toContainText("The tool said:");
  await isAt("Messages");
  await press("Settings", "Shift+Tab");
  await expect(chat.getByRole("dialog")).toBeVisible();
  await reach("Close the settings", "Shift+Tab");
  await keyboard.press("Enter");
  await expect(chat.getByRole("dialog")).toHaveCount(0);
  await isAt("Settings");
  await press("Rename: mock:endless", "Shift+Tab");
  await keyboard.type("Greetings");
  await keyboard.press("Enter");
  await isAt("Rename: Greetings");
  await press("New conversation", "Shift+Tab");
  await isAt("Message");
  await keyboard.type("second");
  await keyboard.press("Enter");
  await settled(chat);
  await reach("Greetings", "Shift+Tab");
  await press("Delete: Greetings");
  await isAt("second");
  await press("Delete: second");
  await isAt("Message");
  await press("Undo", "Shift+Tab");
  await isAt("Message");
  await expect(lastReply(chat)).toContainText("Hello there.");
  expect(mock.requests).toHaveLength(7);
});

// The key is dispatched as browsers do while an input method composes, and as Safari does behind it.
for (const [name, init] of [
  ["while it composes", { isComposing: true }],
  ["behind it", { keyCode: 229 }],
]) {
  test(`keys of an input method are its own: ${name}`, async ({ chat, mock }) => {
    const press = (box, key) =>
      box.dispatchEvent("keydown", { key, bubbles: true, cancelable: true, ...init });
    await say(chat, "mock:endless");
    await expect(lastReply(chat)).toContainText("drop after drop");
    await messageBox(chat).fill("a word");
    await press(messageBox(chat), "Escape");
    await chat.getByRole("button", { name: "Rename: mock:endless" }).click();
    const field = chat.getByRole("textbox", { name: "New name" });
    await field.fill("Rain");
    for (const key of ["Enter", "Escape"]) await press(field, key);
    await expect(field).toBeFocused();
    await field.press("Enter");
    await expect(chat.getByRole("heading", { level: 1 })).toHaveText("Rain");
    await expect(chat.getByRole("button", { name: "Stop" })).toBeVisible();
    await chat.getByRole("button", { name: "Stop" }).click();
    await settled(chat);
    await press(messageBox(chat), "Enter");
    await chat.getByRole("button", { name: "Edit" }).click();
    const editor = chat.getByRole("textbox", { name: "Your message, changed" });
    for (const key of ["Enter", "Escape"]) await press(editor, key);
    await expect(editor).toHaveValue("mock:endless");
    await expect(messageBox(chat)).toHaveValue("a word");
    expect(mock.requests).toHaveLength(1);
  });
}

test("a conversation is told in its order, with what each part is", async ({ chat }) => {
  await say(chat, "hello");
  await settled(chat);
  await say(chat, "mock:tools");
  await settled(chat);
  await expect(chat.getByRole("group", { name: "Messages" })).toMatchAriaSnapshot(`
    - group "Messages":
      - article:
        - heading "You" [level=2]
        - text: hello
        - 'button "Copy: your message"'
      - article:
        - heading "Model" [level=2]
        - group: /Reasoned for/
        - paragraph: Hello there. What shall we talk about?
        - 'button "Copy: the reply"'
        - text: 12 tokens \u00b7 50 tokens/s
      - article:
        - heading "You" [level=2]
        - text: mock:tools
        - button "Edit"
        - 'button "Copy: your message"'
      - article:
        - heading "Model" [level=2]
        - paragraph: I look it up.
        - group "Calls of tools":
          - heading "call weather" [level=3]
          - term: place
          - definition: Kiel
          - group: As JSON
          - heading "call clock" [level=3]
          - paragraph: No arguments.
          - group: As JSON
          - textbox "Result of weather"
          - textbox "Result of clock"
          - button "Send the results"
        - 'button "Copy: the reply"'
        - button "Another reply"
  `);
});

test("a reply is announced when it is complete, not as it comes", async ({ chat }) => {
  await chat.evaluate(() => {
    window.heard = [];
    const region = [...document.querySelectorAll('[role="status"]')].at(-1);
    new MutationObserver(() => window.heard.push(region.textContent)).observe(region, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await say(chat, "hello");
  await settled(chat);
  await say(chat, "mock:failing");
  await settled(chat);
  // Then nothing is left of it, so that who reads on does not find it a second time.
  await expect(chat.getByRole("status").last()).toBeEmpty();
  expect(await chat.evaluate(() => window.heard.filter((text) => text !== ""))).toEqual([
    "The model is answering.",
    "Hello there. What shall we talk about?",
    "The model is answering.",
    "So far, so good the sky fell",
  ]);
});

test("the list of a small screen takes the focus and gives it back", async ({ chat }) => {
  await chat.setViewportSize({ width: 360, height: 640 });
  const list = chat.getByRole("navigation", { name: "Conversations" });
  await expect(list).toBeHidden();
  const button = chat.getByRole("button", { name: "Conversations" });
  await button.click();
  await expect(button).toHaveAttribute("aria-expanded", "true");
  await expect(chat.getByRole("button", { name: "New conversation" })).toBeFocused();
  await chat.keyboard.press("Escape");
  await expect(list).toBeHidden();
  await expect(messageBox(chat)).toBeFocused();
});

test("what is deleted on a small screen can be had back", async ({ chat }) => {
  await chat.setViewportSize({ width: 320, height: 640 });
  const list = chat.getByRole("navigation", { name: "Conversations" });
  const button = chat.getByRole("button", { name: "Conversations" });
  const long = "a question whose first line is long enough to be cut where it is a title";
  for (const text of [long, "second"]) {
    if (text === "second") {
      await button.click();
      await chat.getByRole("button", { name: "New conversation" }).click();
    }
    await say(chat, text);
    await settled(chat);
  }
  await button.click();
  await list.getByRole("button", { name: /^a question/ }).hover();
  await list.getByRole("button", { name: "Delete: a question" }).click();
  await expect(list.getByRole("button", { name: "second", exact: true })).toBeFocused();
  await chat.getByRole("button", { name: "Undo" }).click();
  await expect(list.locator(".title")).toHaveText(["second", /^a question/]);
  await list.getByRole("button", { name: "Delete: a question" }).click();
  await expect(list).toBeHidden();
  await expect(messageBox(chat)).toBeFocused();
  const undo = chat.getByRole("button", { name: "Undo" });
  expect((await undo.boundingBox()).height).toBeLessThan(40); // in one line
  await undo.click();
  await expect(chat.getByRole("heading", { level: 1 })).toHaveText(/^a question/);
});

test("nothing moves for those who do not want it", async ({ chat }) => {
  const running = () =>
    chat.evaluate(() => document.getAnimations().filter((it) => it.playState === "running").length);
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await expect.poll(running).toBeGreaterThan(0);
  await chat.emulateMedia({ reducedMotion: "reduce" });
  await expect.poll(running).toBe(0);
  await chat.keyboard.press("Escape");
});
