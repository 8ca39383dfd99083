// SPDX-License-Identifier: MIT
// The same conversations in two tabs, and a store that opens late or never:
//     tests/web/run.sh tabs.spec
import { expect, lastReply, list, messageBox, reload, say, settled, test } from "./fixtures.mjs";

const titles = (page) => list(page).locator(".title");
const reading = (page) => list(page).locator("ul");

// ---- two tabs -----------------------------------------------------------------------------------

async function openOther(chat) {
  const other = await chat.context().newPage();
  await other.goto(chat.url());
  await expect(other.getByText("(ready)")).toBeAttached();
  await expect(reading(other)).toHaveAttribute("aria-busy", "false");
  return other;
}

test("what is said, renamed or deleted in one tab is so in the other", async ({ chat }) => {
  const other = await openOther(chat);
  await say(chat, "hello");
  await settled(chat);
  await titles(other).click();
  await expect(lastReply(other)).toContainText("Hello there.");
  await settled(other);
  await say(other, "mock:again");
  await expect(lastReply(other)).toContainText("Reply number 1.");
  await expect(lastReply(chat)).toContainText("Reply number 1.");
  await settled(chat);
  await say(chat, "mock:again");
  await expect(lastReply(chat)).toContainText("Reply number 2.");
  await expect(lastReply(other)).toContainText("Reply number 2.");
  await expect(other.locator("article")).toHaveCount(6);
  await other.getByRole("button", { name: "Rename: hello" }).click();
  await other.keyboard.type("Greetings");
  await other.keyboard.press("Enter");
  await expect(chat.getByRole("heading", { level: 1 })).toHaveText("Greetings");
  await reload(other);
  await expect(other.locator("article")).toHaveCount(6);
  await other.getByRole("button", { name: "Delete: Greetings" }).click();
  await expect(titles(chat)).toHaveCount(0);
  await expect(chat.locator("article")).toHaveCount(0);
  await other.getByRole("button", { name: "Undo" }).click();
  await expect(titles(chat)).toHaveText(["Greetings"]);
});

// In two kinds of places: those where browsers have locks, and plain HTTP, where they do not.
for (const hasLocks of [true, false]) {
  test(`a reply of one tab is seen and stopped in the other: ${hasLocks}`, async ({
    chat,
    mock,
  }) => {
    if (!hasLocks) {
      await chat.context().addInitScript(() => {
        Object.defineProperty(navigator, "locks", { value: undefined });
      });
      await reload(chat);
    }
    await say(chat, "mock:endless");
    await expect(lastReply(chat)).toContainText("drop after drop");
    const other = await openOther(chat);
    // One that has come later, and one that was there all the time.
    await expect(other.getByRole("button", { name: "Stop" })).toBeVisible();
    await expect(other.getByRole("button", { name: "Another reply" })).toHaveCount(0);
    await expect(other.getByRole("button", { name: "A reply comes: mock:endless" })).toBeVisible();
    await messageBox(other).fill("and I say");
    await other.keyboard.press("Enter"); // not while the reply comes
    await expect(messageBox(other)).toHaveValue("and I say");
    // A name that is given there is not undone by the reply that goes on here.
    await other.getByRole("button", { name: "Rename: mock:endless" }).click();
    await other.keyboard.type("Rain");
    await other.keyboard.press("Enter");
    await expect(chat.getByRole("heading", { level: 1 })).toHaveText("Rain");
    await other.getByRole("button", { name: "Stop" }).click();
    await expect(lastReply(chat)).toContainText("Stopped.");
    await settled(chat);
    await settled(other);
    const text = await lastReply(chat).locator(".markdown").textContent();
    await expect(lastReply(other).locator(".markdown")).toHaveText(text);
    expect(mock.requests).toHaveLength(1);
    await other.getByRole("button", { name: "Another reply" }).click();
    await expect(chat.getByRole("button", { name: "Stop" })).toBeVisible();
    await other.close({ runBeforeUnload: true });
    await settled(chat); // its tab is gone, and the reply with it
    await reload(chat);
    await expect(chat.getByRole("heading", { level: 1 })).toHaveText("Rain");
  });
}

test("of two tabs that say something at the same time, one is answered", async ({ chat, mock }) => {
  await holdWords(chat);
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  const pages = [chat, other];
  for (const page of pages) {
    await messageBox(page).fill(`mock:endless ${pages.indexOf(page)}`);
    await page.evaluate(() => void window.holdWords()); // neither hears that the other begins
  }
  await Promise.all(pages.map((page) => page.keyboard.press("Enter")));
  const refused = (page) => page.getByText("A reply comes in another tab.").count();
  await expect.poll(async () => (await refused(chat)) + (await refused(other))).toBe(1);
  const [first, second] = (await refused(chat)) ? [other, chat] : [chat, other];
  await expect(lastReply(first)).toContainText("drop after drop");
  // What could not be said is not lost, and can be said when the other has been answered.
  const late = `mock:endless ${pages.indexOf(second)}`;
  await expect(messageBox(second)).toHaveValue(late);
  for (const page of pages) await page.evaluate(() => window.releaseWords());
  await second.getByRole("button", { name: "Stop" }).click();
  await settled(second);
  await messageBox(second).press("Enter");
  await expect(second.locator("article")).toHaveCount(6);
  await expect(first.locator(".said").last()).toHaveText(late);
  expect(mock.requests.map(({ messages }) => messages.length)).toEqual([1, 3, 5]);
});

test("the second tab is told even where it has heard nothing of the first", async ({
  chat,
  mock,
}) => {
  await holdWords(chat);
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  await other.evaluate(() => void window.holdWords());
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await say(other, "mine");
  await expect(other.getByText("A reply comes in another tab.")).toBeVisible();
  await expect(messageBox(other)).toHaveValue("mine");
  await other.getByRole("button", { name: "Edit" }).click();
  await other.getByRole("textbox", { name: "Your message, changed" }).fill("hello again");
  await other.keyboard.press("Enter");
  await other.getByRole("button", { name: "Dismiss" }).click();
  await other.getByRole("button", { name: "Another reply" }).click();
  await expect(other.getByText("A reply comes in another tab.")).toBeVisible();
  await expect(other.getByRole("textbox", { name: "Your message, changed" })).toHaveValue(
    "hello again",
  );
  await other.getByRole("button", { name: "Cancel" }).click();
  expect(mock.requests).toHaveLength(2);
  // What it has not heard of, it finds where it is kept.
  await chat.keyboard.press("Escape");
  await settled(chat);
  await noLocks(chat);
  await messageBox(other).press("Enter");
  await expect(other.getByText("The conversation has gone on in another tab.")).toBeVisible();
  await expect(other.locator("article")).toHaveCount(4);
  await expect(messageBox(other)).toHaveValue("mine");
  await messageBox(other).press("Enter");
  await expect(other.locator("article")).toHaveCount(6);
  await settled(other);
  await other.evaluate(() => window.releaseWords());
  for (const page of [chat, other]) {
    await expect(page.locator(".said")).toHaveText(["hello", "mock:endless", "mine"]);
  }
  expect(mock.requests).toHaveLength(3);
});

test("a reply whose tab has died has ended in the other", async ({ chat }) => {
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  await say(other, "mock:endless");
  await expect(lastReply(other)).toContainText("drop after drop");
  await expect(chat.getByRole("button", { name: "Stop" })).toBeVisible();
  // Closed, a page says and keeps something yet; one whose process dies does not.
  await other.evaluate(() => {
    BroadcastChannel.prototype.postMessage = () => {};
    IDBObjectStore.prototype.put = () => {
      throw new DOMException("dead", "AbortError");
    };
  });
  await other.close();
  await settled(chat);
  await expect(lastReply(chat)).toContainText("Stopped.");
  await say(chat, "mock:again");
  await expect(lastReply(chat)).toContainText("Reply number 1.");
});

test("deleting a conversation ends its reply in the other tab", async ({ chat, mock }) => {
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  const other = await openOther(chat);
  await other.getByRole("button", { name: "Delete: mock:endless" }).click();
  await expect.poll(() => mock.closed).toEqual(["endless"]);
  await expect(titles(chat)).toHaveCount(0);
  await reload(chat);
  await expect(reading(chat)).toHaveAttribute("aria-busy", "false");
  await expect(titles(chat)).toHaveCount(0);
});

// Until no tab holds a lock.
async function noLocks(page) {
  const held = () => page.evaluate(async () => (await navigator.locks.query()).held.length);
  await expect.poll(held).toBe(0);
}

// What tabs hear is counted, and kept from them while the test says so.
async function holdWords(page) {
  await page.context().addInitScript(() => {
    const { set } = Object.getOwnPropertyDescriptor(BroadcastChannel.prototype, "onmessage");
    let held = null;
    window.heard = []; // kinds
    window.holdWords = () => (held = []);
    Object.defineProperty(BroadcastChannel.prototype, "onmessage", {
      set(hear) {
        const deliver = (event) => {
          hear(event);
          window.heard.push(event.data.kind);
        };
        window.releaseWords = () => {
          held.forEach(deliver);
          held = null;
        };
        set.call(this, (event) => void (held ? held.push(event) : deliver(event)));
      },
    });
  });
  await reload(page);
}

test("what is deleted stays so while a tab that has not heard goes on", async ({ chat, mock }) => {
  await holdWords(chat);
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  const other = await openOther(chat);
  await chat.evaluate(() => void window.holdWords());
  await other.getByRole("button", { name: "Delete: mock:endless" }).click();
  await expect(titles(other)).toHaveCount(0);
  await other.evaluate(() => void (window.heard = []));
  const heard = () => {
    mock.go();
    return other.evaluate(() => window.heard);
  };
  await expect.poll(heard).toContain("kept");
  await expect(titles(other)).toHaveCount(0);
  await chat.evaluate(() => window.releaseWords());
  await expect(titles(chat)).toHaveCount(0);
  await reload(other);
  await expect(reading(other)).toHaveAttribute("aria-busy", "false");
  await expect(titles(other)).toHaveCount(0);
});

test("what is deleted and taken back stays, however late a tab hears of it", async ({ chat }) => {
  await holdWords(chat);
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  await chat.evaluate(() => void window.holdWords());
  await other.getByRole("button", { name: "Delete: hello" }).click();
  await other.getByRole("button", { name: "Undo" }).click();
  await expect(titles(other)).toHaveText(["hello"]);
  await chat.evaluate(() => window.releaseWords());
  await expect(titles(chat)).toHaveText(["hello"]);
  await expect.poll(() => other.evaluate(() => window.heard)).toContain("cleared");
  for (const page of [other, chat]) {
    await reload(page);
    await expect(reading(page)).toHaveAttribute("aria-busy", "false");
    await expect(titles(page)).toHaveText(["hello"]);
  }
});

test("a message that is being changed stays so when another tab tells news", async ({ chat }) => {
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  await other.getByRole("button", { name: "Edit" }).click();
  const editor = other.getByRole("textbox", { name: "Your message, changed" });
  await editor.fill("half a thought");
  await chat.getByRole("button", { name: "Rename: hello" }).click();
  await chat.keyboard.type("Greetings");
  await chat.keyboard.press("Enter");
  await expect(other.getByRole("heading", { level: 1 })).toHaveText("Greetings");
  await expect(editor).toHaveValue("half a thought");
});

// By the tab that has said something meanwhile, or by the one that has deleted it.
for (const isSpeaker of [true, false]) {
  test(`what is said where a deletion is not heard of can be had back: ${isSpeaker}`, async ({
    chat,
  }) => {
    await holdWords(chat);
    await say(chat, "hello");
    await settled(chat);
    const other = await openOther(chat);
    await chat.evaluate(() => void window.holdWords());
    await other.getByRole("button", { name: "Delete: hello" }).click();
    await expect(titles(other)).toHaveCount(0);
    await say(chat, "mock:again");
    await expect(lastReply(chat)).toContainText("Reply number 1.");
    await settled(chat);
    await messageBox(chat).fill("half a thought");
    await chat.evaluate(() => window.releaseWords());
    await expect(chat.getByText('"hello" was deleted in another tab.')).toBeVisible();
    await expect(titles(chat)).toHaveCount(0);
    await expect(messageBox(chat)).toHaveValue("half a thought");
    const [first, second] = isSpeaker ? [chat, other] : [other, chat];
    await first.getByRole("button", { name: "Undo" }).click();
    await expect(first.locator(".said")).toHaveText(["hello", "mock:again"]);
    await expect(titles(second)).toHaveText(["hello"]);
    await say(first, "mock:again, please");
    await expect(lastReply(first)).toContainText("Reply number 1.");
    await settled(first);
    await noLocks(first);
    await first.close();
    // It is back already: all of it stays.
    await second.getByRole("button", { name: "Undo" }).click();
    const said = ["hello", "mock:again", "mock:again, please"];
    await expect(second.locator(".said")).toHaveText(said);
    await reload(second);
    await expect(second.locator(".said")).toHaveText(said);
  });
}

test("a name given before a reply is heard of stays while the reply comes", async ({ chat }) => {
  await holdWords(chat);
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  await other.evaluate(() => void window.holdWords());
  await say(chat, "mock:endless");
  await expect(lastReply(chat)).toContainText("drop after drop");
  await other.getByRole("button", { name: "Rename: hello" }).click();
  await other.keyboard.type("Greetings");
  await chat.evaluate(() => void (window.heard = []));
  await other.keyboard.press("Enter");
  await expect.poll(() => chat.evaluate(() => window.heard)).toEqual(["kept"]);
  await expect(chat.getByRole("heading", { level: 1 })).toHaveText("Greetings");
  await other.evaluate(() => window.releaseWords());
  await expect(other.locator(".said")).toHaveText(["hello", "mock:endless"]);
  await expect(titles(other)).toHaveText(["Greetings"]);
  await chat.getByRole("button", { name: "Stop" }).click();
  for (const page of [chat, other]) {
    await settled(page);
    await reload(page);
    await expect(titles(page)).toHaveText(["Greetings"]);
  }
});

test("a tab that has not heard of a message takes it from nobody", async ({ chat }) => {
  await holdWords(chat);
  await say(chat, "hello");
  await settled(chat);
  const other = await openOther(chat);
  await other.evaluate(() => void window.holdWords());
  await say(chat, "mock:again");
  await settled(chat);
  await noLocks(chat);
  await other.getByRole("button", { name: "Rename: hello" }).click();
  await other.keyboard.type("Greetings");
  await chat.evaluate(() => void (window.heard = []));
  await other.keyboard.press("Enter");
  await expect.poll(() => chat.evaluate(() => window.heard)).toEqual(["kept"]);
  await other.evaluate(() => window.releaseWords());
  for (const page of [chat, other]) {
    await expect(page.locator(".said")).toHaveText(["hello", "mock:again"]);
    await reload(page);
    await expect(page.locator(".said")).toHaveText(["hello", "mock:again"]);
  }
});

test("settings and the key are those of both tabs", async ({ chat, mock }) => {
  const other = await openOther(chat);
  await other.getByRole("button", { name: "Settings", exact: true }).click();
  await other.getByLabel("Dark").check();
  await other.getByLabel("System prompt").fill("Be brief.");
  await expect(chat.locator("html")).toHaveAttribute("data-theme", "dark");
  await say(chat, "hello");
  await settled(chat);
  expect(mock.requests[0].messages[0]).toEqual({ role: "system", content: "Be brief." });
});

// ---- a store that is late -----------------------------------------------------------------------

// The store opens when the test says so: before that, requests to open it are not even made.
async function holdStore(page) {
  await page.addInitScript(() => {
    const open = IDBFactory.prototype.open;
    IDBFactory.prototype.open = function (...args) {
      let real = null;
      const held = {
        get result() {
          return real.result;
        },
      };
      window.openStore = () => {
        real = open.apply(this, args);
        for (const name of ["onsuccess", "onerror", "onupgradeneeded"]) real[name] = held[name];
      };
      return held;
    };
  });
}

test("a message said before the store is open is kept with what is there", async ({ chat }) => {
  await say(chat, "before");
  await settled(chat);
  const address = chat.url();
  await holdStore(chat);
  await reload(chat);
  await expect(messageBox(chat)).toBeFocused();
  await expect(reading(chat)).toHaveAttribute("aria-busy", "true");
  await say(chat, "early");
  await expect(lastReply(chat)).toContainText("Hello there.");
  await chat.evaluate(() => void window.openStore());
  await expect(titles(chat)).toHaveText(["early", "before"]);
  await expect(reading(chat)).toHaveAttribute("aria-busy", "false");
  // What was said is what is open, and not what the address named.
  await expect(chat.getByRole("heading", { level: 1 })).toHaveText("early");
  expect(chat.url()).not.toBe(address);
  const fresh = await chat.context().newPage();
  await fresh.goto(chat.url());
  await expect(titles(fresh)).toHaveText(["early", "before"]);
  await expect(lastReply(fresh)).toContainText("Hello there.");
});

test("what is written before the store is open is still there", async ({ chat }) => {
  await say(chat, "before");
  await settled(chat);
  await holdStore(chat);
  await reload(chat);
  await messageBox(chat).fill("half a thought");
  await chat.evaluate(() => void window.openStore());
  await expect(chat.getByRole("heading", { level: 1 })).toHaveText("before");
  await expect(messageBox(chat)).toHaveValue("half a thought");
});

test("a store that does not open is done without until it does", async ({
  page,
  mock,
  faults: _,
}) => {
  await holdStore(page);
  await page.goto(mock.url);
  await say(page, "hello");
  await expect(lastReply(page)).toContainText("Hello there.");
  await expect(page.getByText("This browser keeps nothing for this page")).toBeVisible();
  await expect(reading(page)).toHaveAttribute("aria-busy", "false");
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.evaluate(() => void window.openStore());
  await expect(page.getByText("This browser keeps nothing for this page")).toHaveCount(0);
  const fresh = await page.context().newPage();
  await fresh.goto(mock.url);
  await titles(fresh).click();
  await expect(lastReply(fresh)).toContainText("Hello there.");
});
