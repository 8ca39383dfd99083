// SPDX-License-Identifier: MIT
// Parts of the page without a browser: tests/web/run.sh unit.spec
import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import {
  billOf,
  formatBytes,
  formatCount,
  formatParameters,
  formatSeconds,
  formatShare,
} from "../../web/src/bill";
import { exportText, importText, readConversation } from "../../web/src/conversation_file";
import { addChunk, readTimings } from "../../web/src/reply";
import { chatRequest, readTools } from "../../web/src/request";
import { modelName } from "../../web/src/server";
import { readEvents } from "../../web/src/sse";
import { defaultSettings, newReply } from "../../web/src/types";

// ---- events -------------------------------------------------------------------------------------

function streamOf(bytes, size) {
  return new ReadableStream({
    start(controller) {
      for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size));
      controller.close();
    },
  });
}

async function eventsOf(text, size) {
  const events = [];
  for await (const data of readEvents(streamOf(new TextEncoder().encode(text), size))) {
    events.push(data);
  }
  return events;
}

test("events are the same however the stream is cut", async () => {
  const stream = [
    ': ping\n\ndata: {"a":"\u00e4\u20ac\ud83d\ude00"}\n\n',
    "data:no blank\r\n\r\ndata: two\r\ndata: lines\r\n\r\n",
    "event: error\nid: 7\ndata: named\n\n",
    "data: by CR\r\rdata: cut short\n",
  ].join("");
  const whole = ['{"a":"\u00e4\u20ac\ud83d\ude00"}', "no blank", "two\nlines", "named", "by CR"];
  for (const size of [1, 2, 3, 5, 7, 64, 4096]) {
    expect(await eventsOf(stream, size), `${size} bytes at a time`).toEqual(whole);
  }
});

// ---- replies ------------------------------------------------------------------------------------

const delta = (fields, finish = null) => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
});

function replyOf(chunks) {
  return { ...chunks.reduce(addChunk, newReply()), id: "" };
}

test("chunks add up to a reply", () => {
  const reply = replyOf([
    delta({ role: "assistant", content: null }),
    delta({ reasoning_content: "hm" }),
    delta({ content: "a" }),
    delta({ content: "b" }),
    delta({ tool_calls: [{ index: 0, id: "x", function: { name: "f", arguments: "{" } }] }),
    delta({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }),
    delta({ tool_calls: [{ index: 1, id: "y", function: { name: "g", arguments: "{}" } }] }),
    delta({}, "tool_calls"),
    { choices: [], usage: {}, timings: { predicted_n: 3, bytes: { weights: 6, other: 7 } } },
  ]);
  expect(reply).toEqual({
    ...newReply(),
    id: "",
    content: "ab",
    reasoning: "hm",
    calls: [
      { id: "x", name: "f", arguments: "{}" },
      { id: "y", name: "g", arguments: "{}" },
    ],
    finish: "tool_calls",
    timings: { predicted_n: 3, bytes: { weights: 6 } },
  });
});

test("chunks that are none change nothing", () => {
  const odd = [
    null,
    7,
    "text",
    [],
    {},
    { choices: null },
    { choices: [null] },
    { choices: [{ delta: 7, finish_reason: "because" }] },
    delta({ content: 7, reasoning_content: {}, tool_calls: "f" }),
    delta({ tool_calls: [{ index: 1e9 }, { index: -1 }, { index: 0.5 }, { index: "0x" }] }),
    { choices: [], timings: { predicted_n: "many", prompt_n: -1, prompt_ms: null, bytes: 7 } },
  ];
  const { id: _, ...empty } = newReply();
  const { id: __, ...reply } = replyOf(odd);
  expect({ ...reply, calls: [] }).toEqual(empty);
});

test("a model is called by the last part of its path", () => {
  const names = ["/a/b c/weir-5M-Q5_K_M.gguf", "org/name", "alias", "", "/a/"].map(modelName);
  expect(names).toEqual(["weir-5M-Q5_K_M", "name", "alias", "model", "model"]);
});

// ---- requests -----------------------------------------------------------------------------------

test("what the server would refuse is not sent", () => {
  const said = (fields) => ({ ...newReply(), ...fields });
  const messages = [
    { role: "user", id: "1", content: "a" },
    said({ failure: { message: "no" } }),
    { role: "user", id: "2", content: "b" },
    said({ content: "c", calls: [{ id: "x", name: "f", arguments: '{"cut' }] }),
    { role: "user", id: "3", content: "d" },
    said({ calls: [{ id: "y", name: "g", arguments: "" }] }),
  ];
  const { messages: sent } = chatRequest(messages, { ...defaultSettings, system: " \n" });
  const call = { id: "y", type: "function", function: { name: "g", arguments: "{}" } };
  expect(sent).toEqual([
    { role: "user", content: "a" },
    { role: "user", content: "b" },
    { role: "assistant", content: "c" },
    { role: "user", content: "d" },
    { role: "assistant", content: "", tool_calls: [call] },
  ]);
});

test("tools are a list of functions with names", () => {
  expect(readTools("  ")).toEqual({ tools: [] });
  const tool = { type: "function", function: { name: "f" } };
  expect(readTools(JSON.stringify([tool]))).toEqual({ tools: [tool] });
  for (const bad of ["{", "{}", "[7]", "[null]", '[{"function":{}}]']) {
    expect(readTools(bad)).toHaveProperty("error");
  }
});

// ---- bills --------------------------------------------------------------------------------------

test("a bill is of a token, and says nothing that was not measured", () => {
  const timings = readTimings({
    cache_n: 10,
    prompt_n: 6,
    predicted_n: 4,
    predicted_ms: 8,
    predicted_per_second: 500,
    bytes: { weights: 3000, state: 1000 },
  });
  const bill = billOf(timings);
  expect(bill).toMatchObject({
    rate: 500,
    bytes: 1000,
    bandwidth: 500_000,
    held: 20,
    drafts: null,
  });
  expect(bill.rows.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(bill.bytes);
  expect(bill.rows.reduce((sum, { share }) => sum + share, 0)).toBe(1);
  const first = billOf({ predicted_n: 1, predicted_per_second: 1e6 });
  expect(first).toMatchObject({ rate: null, bytes: null, bandwidth: null, rows: [] });
});

test("figures are told with three digits", () => {
  expect([12, 21_400_000, 79_674_391_296, 2.5e12].map(formatParameters)).toEqual([
    "12",
    "21.4 M",
    "79.7 B",
    "2500 B",
  ]);
  expect([0, 7, 999, 1000, 41_234_000, 999_499_999, 999_500_000, 2.5e15].map(formatBytes)).toEqual([
    "0 B",
    "7 B",
    "999 B",
    "1 kB",
    "41.2 MB",
    "999 MB",
    "1 GB",
    "2500 TB",
  ]);
  expect([0, 0.0004, 0.02, 0.9996, 1].map(formatShare)).toEqual([
    "0%",
    "<0.1%",
    "2%",
    ">99.9%",
    "100%",
  ]);
  expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual([
    "0",
    "999",
    "1\u202f000",
    "1\u202f234\u202f567",
  ]);
  expect([0, 1234, 59_000, 61_000].map(formatSeconds)).toEqual([
    "0.0 s",
    "1.2 s",
    "59 s",
    "1 min 1 s",
  ]);
});

// ---- files --------------------------------------------------------------------------------------

const conversation = {
  id: "c1",
  title: "A talk",
  updated: 17,
  messages: [
    { role: "user", id: "m1", content: "hi" },
    {
      ...newReply(),
      content: "hello",
      reasoning: "hm",
      calls: [{ id: "x", name: "f", arguments: "{}" }],
      finish: "tool_calls",
      timings: { predicted_n: 3, bytes: { weights: 6 } },
    },
    { role: "tool", id: "m3", callId: "x", name: "f", content: "7" },
  ],
};

const bare = ({ id: _, messages, ...rest }) => ({
  ...rest,
  messages: messages.map(({ id: __, ...message }) => message),
});

test("what is exported is what is imported, under other identities", () => {
  const [back] = importText(exportText([conversation]));
  expect(bare(back)).toEqual(bare(conversation));
  expect(back.id).not.toBe(conversation.id);
});

test("files of others are refused with a reason", () => {
  const file = (conversations) => JSON.stringify({ format: "weir.conversations/1", conversations });
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    '{"format":"x"}',
    file([{}]),
    file([{ messages: [{}] }]),
  ]) {
    expect(() => importText(text), text).toThrow(/^(The file|Conversation 1)/);
  }
});

test("a conversation with any value in any place is read or refused", () => {
  const odd = [null, 7, -1, "text", true, [], {}, [null], { messages: {} }];
  const places = (value, path = []) =>
    typeof value === "object" && value !== null
      ? Object.keys(value).flatMap((key) => [[...path, key], ...places(value[key], [...path, key])])
      : [];
  const readTwice = (value) => {
    const once = readConversation(value);
    if (once) expect(bare(readConversation(once))).toEqual(bare(once));
  };
  for (const path of places(conversation)) {
    for (const value of odd) {
      const changed = structuredClone(conversation);
      const inner = path.slice(0, -1).reduce((at, key) => at[key], changed);
      inner[path.at(-1)] = value;
      readTwice(changed);
    }
  }
});

// ---- the built page -----------------------------------------------------------------------------

test("the built page names no other machine", () => {
  const file = readFileSync(new URL("../../src/serve/page.html", import.meta.url), "utf8");
  const page = file.split("</html>")[0]; // behind it stand licences
  // Names of vocabularies, and of whom marked would be reported to: texts that nothing asks for.
  const known = /^http:\/\/www\.w3\.org\/|^https:\/\/github\.com\/markedjs\/marked\.$/;
  const addresses = page.match(/\bhttps?:\/\/[\w.-]+[\w./-]*/g) ?? [];
  expect(addresses.filter((address) => !known.test(address))).toEqual([]);
});
