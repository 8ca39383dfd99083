// SPDX-License-Identifier: MIT
// A server that says what weir serve says, as far as the page asks, without a model: the last user
// message names what is to happen ("mock:slow"). Knows nothing of browsers.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const built = new URL("../../src/serve/", import.meta.url);

export const key = "sesame";

export const sample = `# A heading

Some *words* with \`code\`, a [link](https://example.org/a?b=1&c=2), 1 &lt; 2 and a list:

- one
- two
  1. inner
- [x] done

| left | right |
|:-----|------:|
| a    |     1 |

\`\`\`c
int main(void)
{
    return 0; /* <b>not bold</b> */
}
\`\`\`

> Quoted.
`;

// Each of them would set window.pwned, ask another machine, or leave the page, if it were obeyed.
export const attacks = [
  "<script>window.pwned = 1</script>",
  '<img src="/leak/img" onerror="window.pwned = 2">',
  "<svg onload=window.pwned=3></svg>",
  '<iframe srcdoc="<script>parent.pwned=4</script>"></iframe>',
  "[click](javascript:window.pwned=5)",
  "[click](JaVaScRiPt:window.pwned=6 'title')",
  "[click](&#106;avascript:window.pwned=7)",
  "[click](data:text/html,<script>window.pwned=8</script>)",
  "[click](vbscript:window.pwned=9)",
  "<javascript:window.pwned=10>",
  "![picture](/leak/markdown)",
  "![picture](https://leak.invalid/secret)",
  "[here](//leak.invalid/secret) [there](/leak/link)",
  '<a href="javascript:window.pwned=11">a</a>',
  '<form action="/leak/form"><input name="q"><button>go</button></form>',
  '<style>@import "/leak/style"; body { display: none }</style>',
  '<meta http-equiv="refresh" content="0; url=/leak/meta">',
  '<base href="https://leak.invalid/">',
  '<details open ontoggle="window.pwned=12">x</details>',
  "&lt;script&gt;window.pwned = 13&lt;/script&gt;",
  '```"><img src=x onerror=window.pwned=14>\ncode\n```',
  "`<img src=x onerror=window.pwned=15>`",
  "| a |\n|---|\n| <img src=x onerror=window.pwned=16> |",
  "[a]: javascript:window.pwned=17\n\n[a] and [b][a]",
  "constructor __proto__ &constructor; &__proto__; &toString;",
].join("\n\n");

const weights = 41_000_000;

function timings(tokens, promptTokens, drafts) {
  const ms = tokens * 20;
  const each = {
    weights,
    embedding: 2048,
    kv: 1_100_000,
    state: 9_400_000,
    conv: 73_728,
    activations: 2_600_000,
    logits: 993_280,
  };
  const bytes = Object.fromEntries(Object.entries(each).map(([name, n]) => [name, n * tokens]));
  return {
    cache_n: promptTokens - 8,
    prompt_n: 8,
    prompt_ms: 40,
    prompt_per_token_ms: 5,
    prompt_per_second: 200,
    predicted_n: tokens,
    predicted_ms: ms,
    predicted_per_token_ms: tokens ? ms / tokens : null,
    predicted_per_second: tokens ? 50 : null,
    ...(drafts ? { draft_n: tokens * 2, draft_n_accepted: tokens } : {}),
    bytes,
  };
}

// A response of events, whose tokens are counted for the timings.
class Stream {
  tokens = 0;

  constructor(response, promptTokens) {
    this.response = response;
    this.promptTokens = promptTokens;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    this.event({ role: "assistant", content: null });
  }

  write(value) {
    this.response.write(`data: ${JSON.stringify(value)}\n\n`);
  }

  chunk(choices, more = {}) {
    const head = { object: "chat.completion.chunk", id: "chatcmpl-1", created: 1, model: "mock" };
    this.write({ ...head, choices, ...more });
  }

  event(delta, finish = null) {
    const more = this.tokens > 0 ? { timings: timings(this.tokens, this.promptTokens, true) } : {};
    this.chunk([{ index: 0, delta, finish_reason: finish }], more);
  }

  async text(name, text) {
    for (const piece of text.match(/[^]{1,7}/gu) ?? []) {
      this.tokens++;
      this.event({ [name]: piece });
      await new Promise(setImmediate);
    }
  }

  call(index, name, pieces) {
    const first = { index, id: `call_${index}`, type: "function" };
    this.tokens++;
    this.event({ tool_calls: [{ ...first, function: { name, arguments: "" } }] });
    for (const piece of pieces) {
      this.tokens++;
      this.event({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }

  end(reason) {
    this.event({}, reason);
    this.chunk([], {
      usage: { prompt_tokens: this.promptTokens, completion_tokens: this.tokens },
      timings: timings(this.tokens, this.promptTokens, true),
    });
    this.response.end("data: [DONE]\n\n");
  }
}

function refuse(response, code, type, message, headers = {}) {
  response.writeHead(code, { "Content-Type": "application/json; charset=utf-8", ...headers });
  response.end(JSON.stringify({ error: { code, message, type } }));
}

// What the name behind "mock:" does. `turn` counts the requests with that message, from 1. No scene
// waits for time to pass: one that is to be seen halfway goes on when the test calls mock.go().
const scenes = {
  async hello(stream) {
    await stream.text("reasoning_content", "The user greets. A greeting is fit.\n");
    await stream.text("content", "Hello there. What shall we talk about?");
    stream.end("stop");
  },
  async markdown(stream) {
    await stream.text("content", sample);
    stream.end("stop");
  },
  async attacks(stream) {
    await stream.text("reasoning_content", attacks);
    await stream.text("content", attacks);
    stream.call(0, "<img src=x onerror=window.pwned=20>", [
      JSON.stringify({ "<script>window.pwned=21</script>": "<svg onload=window.pwned=22>" }),
    ]);
    stream.end("tool_calls");
  },
  // Ends by being stopped alone.
  async endless(stream, { mock }) {
    stream.response.on("close", () => mock.closed.push("endless"));
    for (;;) {
      await stream.text("content", "drop after drop ".repeat(40));
      await mock.step();
    }
  },
  async prompt(stream, { mock }) {
    for (let processed = 0; processed <= 2048; processed += 512) {
      stream.chunk([{ index: 0, delta: {}, finish_reason: null }], {
        prompt_progress: { total: 2048, cache: 0, processed, time_ms: processed },
      });
      await mock.step();
    }
    await stream.text("content", "Read.");
    stream.end("stop");
  },
  async address(stream, { mock }) {
    await stream.text("content", "See [there][a].\n\n[a]: https://example.org/ha");
    await mock.step();
    await stream.text("content", "lf\n");
    stream.end("stop");
  },
  async length(stream) {
    await stream.text("content", "This goes on and");
    stream.end("length");
  },
  async tools(stream) {
    await stream.text("content", "I look it up.");
    stream.call(0, "weather", ['{"pl', 'ace":', '"Kiel"}']);
    stream.call(1, "clock", ["{}"]);
    stream.end("tool_calls");
  },
  async broken(stream, { mock }) {
    await stream.text("content", "Half of a reply");
    await mock.step(); // what is not read yet when a connection breaks is lost
    stream.response.destroy();
  },
  async short(stream) {
    await stream.text("content", "A stream without its end");
    stream.response.end();
  },
  async failing(stream) {
    await stream.text("content", "So far, so good");
    stream.write({ error: { code: 500, message: "the sky fell", type: "server_error" } });
    stream.response.end();
  },
  async again(stream, { turn }) {
    await stream.text("content", `Reply number ${turn}.`);
    stream.end("stop");
  },
  async nested(stream) {
    await stream.text("content", `${">".repeat(4000)} deep\n\n${"[".repeat(4000)}\n`);
    stream.end("stop");
  },
};

// Refusals come with a status, before any event; the second try is answered.
const refusals = {
  busy: [429, "unavailable_error", "the queue is full", { "Retry-After": "7" }],
  context: [400, "exceed_context_size_error", "request (5010 tokens) exceeds the context"],
};

function lastOf(messages, role) {
  return messages.findLast((message) => message.role === role)?.content ?? "";
}

async function complete(mock, body, response) {
  mock.requests.push(body);
  const said = lastOf(body.messages, "user");
  const name = said.match(/^mock:(\w+)/)?.[1] ?? "hello";
  const turn = (mock.turns.get(said) ?? 0) + 1;
  mock.turns.set(said, turn);
  if (refusals[name] && turn === 1) return refuse(response, ...refusals[name]);
  const stream = new Stream(response, 20);
  const last = body.messages.at(-1);
  if (last.role === "tool") {
    await stream.text("content", `The tool said: ${last.content}`);
    return stream.end("stop");
  }
  return (scenes[name] ?? scenes.hello)(stream, { mock, turn });
}

async function readBody(request) {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return JSON.parse(text);
}

async function sendPage(response) {
  const policy = (await readFile(new URL("page.policy", built), "utf8")).trim();
  response.writeHead(200, {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": policy,
  });
  response.end(await readFile(new URL("page.html", built)));
}

function sendJson(response, value) {
  response.writeHead(200, { "Content-Type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(value));
}

const models = {
  object: "list",
  data: [
    {
      id: "mock-0.8b",
      object: "model",
      meta: { n_ctx: 4096, n_params: 21_400_000, size: 24_117_248 },
    },
  ],
};
const props = {
  default_generation_settings: {
    params: { temperature: 0.800000011920929, top_k: 40, top_p: 0.949999988079071, min_p: 0.05 },
    n_ctx: 2048,
  },
};

async function answer(mock, request, response) {
  const { pathname } = new URL(request.url, "http://mock");
  if (request.method === "GET" && pathname === "/") return sendPage(response);
  if (mock.isLoading) return refuse(response, 503, "unavailable_error", "Loading model");
  if (request.method === "GET" && pathname === "/v1/models") return sendJson(response, models);
  if (mock.needsKey && request.headers.authorization !== `Bearer ${key}`) {
    return refuse(response, 401, "authentication_error", "Invalid API Key");
  }
  if (request.method === "GET" && pathname === "/props") return sendJson(response, props);
  if (request.method === "POST" && pathname === "/v1/chat/completions") {
    return complete(mock, await readBody(request), response);
  }
  mock.strays.push(`${request.method} ${pathname}`);
  return refuse(response, 404, "not_found_error", "File Not Found");
}

// Where a scene waits for the test, and how the test lets all that wait go on. A scene whose reader
// has gone waits for ever.
function stepsOf() {
  let waiting = [];
  return {
    step: () => new Promise((resolve) => waiting.push(resolve)),
    go() {
      const ready = waiting;
      waiting = [];
      for (const resolve of ready) resolve();
    },
  };
}

// A server on a port of its own: { url, requests, strays, closed, needsKey, isLoading, go, close }.
export async function openMock() {
  const mock = { requests: [], strays: [], closed: [], turns: new Map(), ...stepsOf() };
  const server = createServer((request, response) => {
    response.on("error", () => {}); // the page has gone
    answer(mock, request, response).catch((error) => {
      mock.strays.push(String(error));
      response.destroy();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  mock.url = `http://127.0.0.1:${server.address().port}/`;
  mock.close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return mock;
}

// By hand: node mock.mjs, and a browser.
if (process.argv[1] === new URL(import.meta.url).pathname) {
  const mock = await openMock();
  process.stdout.write(`${mock.url}\n`);
}
