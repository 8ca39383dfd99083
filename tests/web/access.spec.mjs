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
  expect(await chat.evaluate(() => window.heard)).toEqual([
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
