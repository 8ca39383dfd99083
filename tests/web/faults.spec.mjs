// SPDX-License-Identifier: MIT
// What goes wrong, and what a model might try: tests/web/run.sh faults.spec
import { expect, lastReply, reload, say, settled, test } from "./fixtures.mjs";
import { key, sample } from "./mock.mjs";

for (const [name, text] of [
  ["busy", "the queue is full"],
  ["context", "request (5010 tokens) exceeds the context"],
]) {
  test(`a refusal is told, and tried again: ${name}`, async ({ chat }) => {
    await say(chat, `mock:${name}`);
    await expect(lastReply(chat)).toContainText(text);
    if (name === "busy") await expect(lastReply(chat)).toContainText("wait 7 seconds");
    await lastReply(chat).getByRole("button", { name: "Try again" }).click();
    await expect(lastReply(chat)).toContainText("Hello there.");
    await expect(chat.locator("article")).toHaveCount(2);
  });
}

for (const [name, came, told] of [
  ["broken", "Half of a reply", "the connection broke off"],
  ["short", "A stream without its end", "the connection broke off"],
  ["failing", "So far, so good", "the sky fell"],
]) {
  test(`a stream that fails keeps what came: ${name}`, async ({ chat, mock }) => {
    await say(chat, `mock:${name}`);
    await expect(lastReply(chat)).toContainText(came);
    mock.go();
    await expect(lastReply(chat)).toContainText(told);
    await expect(lastReply(chat)).toContainText(came);
    await settled(chat);
    await expect(lastReply(chat).getByRole("button", { name: "Try again" })).toBeVisible();
    await reload(chat);
    await expect(lastReply(chat)).toContainText(told); // it is kept so, too
  });
}

test("a server that is away is found when it is back", async ({ page, mock, faults: _ }) => {
  mock.isLoading = true;
  await page.goto(mock.url);
  await expect(page.getByText("The model is being loaded")).toBeVisible();
  mock.isLoading = false;
  await expect(page.getByRole("heading", { name: "mock-0.8b" })).toBeVisible();
});

test("a server that goes away is seen to, and to come back", async ({ chat, mock }) => {
  await chat.route("**/v1/**", (route) => route.abort());
  await say(chat, "hello");
  await expect(lastReply(chat)).toContainText("The server cannot be reached");
  await expect(chat.getByText("(away)")).toBeAttached();
  await chat.unroute("**/v1/**");
  await expect(chat.getByText("(ready)")).toBeAttached();
  await chat.getByRole("button", { name: "Try again" }).click();
  await expect(lastReply(chat)).toContainText("Hello there.");
  expect(mock.requests).toHaveLength(1);
});

test("a key is asked for, kept, and sent", async ({ chat, mock }) => {
  mock.needsKey = true;
  await say(chat, "hello");
  await expect(lastReply(chat)).toContainText("Invalid API Key");
  await chat.getByRole("button", { name: "Enter the key" }).click();
  await expect(chat.getByLabel("API key")).toBeFocused();
  await chat.keyboard.type(key);
  await chat.keyboard.press("Escape");
  await chat.getByRole("button", { name: "Try again" }).click();
  await expect(lastReply(chat)).toContainText("Hello there.");
  await reload(chat);
  await say(chat, "mock:again");
  await expect(lastReply(chat)).toContainText("Reply number 1.");
});

test("nothing that a model says becomes markup", async ({ chat, mock }) => {
  await say(chat, "mock:attacks <img src=/leak/title onerror=window.pwned=30>");
  await settled(chat);
  const thread = chat.locator(".thread");
  for (const summary of await thread.locator("summary").all()) await summary.click();
  expect(await chat.evaluate(() => window.pwned)).toBeUndefined();
  await expect(thread.locator("script, img, iframe, object, base, meta, style, link")).toHaveCount(
    0,
  );
  await expect(
    thread.locator(".markdown").locator("form, input, details, svg:not(.icon)"),
  ).toHaveCount(0);
  const addresses = await thread
    .locator("a")
    .evaluateAll((all) => all.map((a) => a.getAttribute("href")));
  expect(addresses.filter((address) => !/^(https?|mailto):/.test(address))).toEqual([]);
  await expect(thread).toContainText("<script>window.pwned = 1</script>");
  await expect(thread).toContainText("[image: picture]");
  // Nobody pressed anything, so nothing but the conversation was asked for.
  expect(mock.strays).toEqual([]);
  await reload(chat);
  await expect(lastReply(chat)).toContainText("<script>window.pwned = 1</script>");
  expect(await chat.evaluate(() => window.pwned)).toBeUndefined();
});

test("markup cannot be made even on purpose", async ({ chat, faults }) => {
  const outcome = await chat.evaluate(() => {
    try {
      document.body.innerHTML = "<b>bold</b>";
      return "made";
    } catch (error) {
      return error.name;
    }
  });
  expect(outcome).toBe("TypeError");
  expect(faults.splice(0).join()).toContain("TrustedHTML");
});

test("requests elsewhere are refused by the policy", async ({ chat, faults }) => {
  const outcome = await chat.evaluate(() =>
    fetch("http://127.0.0.1:9/elsewhere").then(
      () => "sent",
      () => "refused",
    ),
  );
  expect(outcome).toBe("refused");
  expect(faults.splice(0).join()).toContain("Content Security Policy");
});

test("Markdown is laid out, and code copied as it is", async ({ chat, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await say(chat, "mock:markdown");
  await settled(chat);
  const reply = lastReply(chat);
  await expect(reply.getByRole("heading", { name: "A heading", level: 3 })).toBeVisible();
  await expect(reply.locator("li")).toHaveCount(4);
  await expect(reply.locator("li li")).toHaveText("inner");
  await expect(reply.getByRole("cell", { name: "1" })).toHaveCSS("text-align", "right");
  await expect(reply).toContainText("1 < 2");
  await expect(reply.getByRole("link", { name: "link" })).toHaveAttribute(
    "href",
    "https://example.org/a?b=1&c=2",
  );
  const copied = () => chat.evaluate(() => navigator.clipboard.readText());
  await reply.getByRole("button", { name: "Copy: c code" }).click();
  await expect.poll(copied).toBe(sample.match(/```c\n([^`]*)\n```/)[1]);
  await reply.getByRole("button", { name: "Copy: the reply" }).click();
  await expect.poll(copied).toBe(sample);
});

// The names that a button has from now on: what it says for a moment may be over when it is asked.
async function namesOf(button) {
  return button.evaluateHandle((it) => {
    const names = [];
    new MutationObserver(() => names.push(it.getAttribute("aria-label"))).observe(it, {
      attributeFilter: ["aria-label"],
    });
    return names;
  });
}

test("a button that has copied says so for a moment", async ({ chat, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await say(chat, "hello");
  await settled(chat);
  const names = await namesOf(lastReply(chat).getByRole("button", { name: "Copy: the reply" }));
  await lastReply(chat).getByRole("button", { name: "Copy: the reply" }).click();
  await expect.poll(() => names.jsonValue()).toEqual(["Copied: the reply", "Copy: the reply"]);
});

// In two kinds of browsers: one whose buttons take the focus by a click, and one whose do not.
for (const takesFocus of [true, false]) {
  test(`without a clipboard, text is copied all the same: ${takesFocus}`, async ({ chat }) => {
    await chat.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", { value: undefined });
      window.copied = [];
      document.addEventListener("copy", () => {
        const { value, selectionStart, selectionEnd } = document.activeElement;
        window.copied.push(value.slice(selectionStart, selectionEnd));
      });
    });
    if (!takesFocus) {
      await chat.evaluate(() =>
        document.addEventListener("mousedown", (event) => event.preventDefault()),
      );
    }
    await say(chat, "hello");
    await settled(chat);
    const button = lastReply(chat).getByRole("button", { name: /^(Copy|Copied): the reply$/ });
    const names = await namesOf(button);
    await button.click();
    await expect(button).toBeFocused();
    await expect.poll(() => names.jsonValue()).toEqual(["Copied: the reply", "Copy: the reply"]);
    await expect(button).toBeFocused();
    expect(await chat.evaluate(() => window.copied)).toEqual([
      "Hello there. What shall we talk about?",
    ]);
    await expect(chat.locator("article textarea")).toHaveCount(0);
  });
}

test("a link leads where its address ends, however that came", async ({ chat, mock }) => {
  await say(chat, "mock:address");
  const link = lastReply(chat).getByRole("link", { name: "there" });
  await expect(link).toHaveAttribute("href", "https://example.org/ha");
  mock.go();
  await settled(chat);
  await expect(link).toHaveAttribute("href", "https://example.org/half");
});

// A conversation of these replies, by way of a file.
async function show(page, replies) {
  const messages = replies.map((content) => ({ role: "assistant", content, finish: "stop" }));
  const conversations = [{ title: "imported", updated: 1, messages }];
  const text = JSON.stringify({ format: "weir.conversations/1", conversations });
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.getByRole("button", { name: "Import" }).click(),
  ]);
  const buffer = Buffer.from(text);
  await chooser.setFiles({ name: "c.json", mimeType: "application/json", buffer });
  await page.getByRole("button", { name: "imported", exact: true }).click();
  await expect(page.locator("article.assistant")).toHaveCount(replies.length);
}

// Without bounds it is by far not in the time that a test has; with them in a fraction of it.
test("text that takes a parser long is drawn", async ({ chat }) => {
  const long = (piece) => `${piece.repeat(180_000 / piece.length)}\n\nits end`;
  const nested = Array.from({ length: 150 }, (_, depth) => `${" ".repeat(2 * depth)}- a`);
  const texts = ["_a_b", "*a ", "**a *b ", "[", "![[", "[a](", "<", "<!--", ">", "- ", "1. a\n"];
  await show(chat, [...texts.map(long), nested.join("\n")]);
  const ends = chat.locator("article", { hasText: "its end" });
  await expect(ends).toHaveCount(texts.length);
});

test("random text is drawn, with each of its words", async ({ chat }) => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  let state = seed;
  const random = (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
  const marks = [..."*_`~#>-+|![](){}<>&;:\\\"'=\n\n\t  1."].concat([
    "```",
    "    ",
    "]: ",
    "<b>",
    "&lt;",
  ]);
  const texts = Array.from({ length: 60 }, () => {
    const pieces = Array.from({ length: 200 }, () => marks[random(marks.length)]);
    return `${pieces.join("")} word${random(1e6)}z`;
  });
  await show(chat, texts);
  const shown = await chat.locator("article.assistant").allTextContents();
  texts.forEach((text, index) => {
    const word = text.match(/word\d+z$/)[0];
    const isAddress = new RegExp(`\\]: *\\S*${word}$|\\[[^\\]]*\\]:\\s*\\S*\\s*${word}$`).test(
      text,
    );
    if (!isAddress) expect(shown[index], `seed ${seed}: ${JSON.stringify(text)}`).toContain(word);
  });
});

test("text that nests without end is shown", async ({ chat }) => {
  await say(chat, "mock:nested");
  await settled(chat);
  await expect(lastReply(chat)).toContainText("deep");
});
