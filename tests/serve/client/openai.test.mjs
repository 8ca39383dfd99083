// SPDX-License-Identifier: MIT
// The server at WEIR_URL, asked by OpenAI's own client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';

const client = new OpenAI({
  baseURL: `${process.env.WEIR_URL}/v1`,
  apiKey: 'k1',
  maxRetries: 0,
});
const model = 'shipped';
const question = [{ role: 'user', content: 'Hello, who are you?' }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'set_lamp',
      description: 'Sets the colour of a lamp',
      parameters: {
        type: 'object',
        properties: {
          place: { type: 'string' },
          level: { type: 'integer' },
          colour: { enum: ['red', 'grey'] },
        },
        required: ['place', 'level', 'colour'],
      },
    },
  },
];

function checkArguments(text) {
  const given = JSON.parse(text);
  assert.equal(typeof given.place, 'string');
  assert.ok(Number.isInteger(given.level));
  assert.ok(['red', 'grey'].includes(given.colour));
}

test('models are listed without a key', async () => {
  const open = new OpenAI({ baseURL: `${process.env.WEIR_URL}/v1`, apiKey: 'none' });
  const list = await open.models.list();
  assert.deepEqual(
    list.data.map((entry) => entry.id),
    [model],
  );
});

test('a model is retrieved by its name', async () => {
  const found = await client.models.retrieve(model);
  assert.equal(found.id, model);
  assert.equal(found.object, 'model');
  await assert.rejects(client.models.retrieve('org/other'), OpenAI.NotFoundError);
});

test('a chat, whole', async () => {
  const reply = await client.chat.completions.create({ model, messages: question, max_tokens: 16 });
  assert.equal(reply.object, 'chat.completion');
  assert.equal(reply.choices[0].message.role, 'assistant');
  assert.ok(reply.usage.completion_tokens > 0 && reply.usage.completion_tokens <= 16);
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
});

test('the same chat is streamed to the same text, and its prompt is cached', async () => {
  const options = { model, messages: question, max_tokens: 24, temperature: 0 };
  const whole = await client.chat.completions.create(options);
  const stream = client.chat.completions.stream({
    ...options,
    stream_options: { include_usage: true },
  });
  let deltas = '';
  for await (const chunk of stream)
    deltas += chunk.choices[0]?.delta.content ?? '';
  const final = await stream.finalChatCompletion();
  assert.equal(deltas, whole.choices[0].message.content);
  assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
  assert.equal(final.choices[0].finish_reason, whole.choices[0].finish_reason);
  assert.ok(final.usage.prompt_tokens_details.cached_tokens > 0);
});

test('a required call of a tool has the arguments of its schema', async () => {
  const reply = await client.chat.completions.create({
    model,
    messages: [{ role: 'user', content: 'Make the lamp in the church grey.' }],
    tools,
    tool_choice: 'required',
    parallel_tool_calls: false,
    max_tokens: 400,
    seed: 3,
  });
  const choice = reply.choices[0];
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.equal(choice.message.tool_calls.length, 1);
  assert.equal(choice.message.tool_calls[0].function.name, 'set_lamp');
  checkArguments(choice.message.tool_calls[0].function.arguments);
});

test('of two tools one is allowed, in a chat and in a response', async () => {
  const { function: lamp } = tools[0];
  const bell = { name: 'ring', parameters: { type: 'object', properties: {} } };
  const content = 'Make the lamp in the church grey.';
  const chat = await client.chat.completions.create({
    model,
    messages: [{ role: 'user', content }],
    tools: [lamp, bell].map((each) => ({ type: 'function', function: each })),
    tool_choice: {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'ring' } }] },
    },
    max_tokens: 100,
  });
  assert.ok(chat.choices[0].message.tool_calls.every((call) => call.function.name === 'ring'));
  const response = await client.responses.create({
    model,
    input: content,
    tools: [lamp, bell].map((each) => ({ type: 'function', strict: false, ...each })),
    tool_choice: {
      type: 'allowed_tools',
      mode: 'required',
      tools: [{ type: 'function', name: 'ring' }],
    },
    max_output_tokens: 100,
  });
  const calls = response.output.filter((item) => item.type === 'function_call');
  assert.ok(calls.length > 0 && calls.every((call) => call.name === 'ring'));
});

test('a choice of texts, as clients of vLLM ask for it', async () => {
  const options = { model, messages: question, max_tokens: 20, guided_choice: ['yes', 'no'] };
  const { choices } = await client.chat.completions.create(options);
  assert.ok(['yes', 'no'].includes(choices[0].message.content));
});

test('a named tool, streamed, and its result sent back', async () => {
  const messages = [{ role: 'user', content: 'Make the lamp in the church grey.' }];
  const stream = client.chat.completions.stream({
    model,
    messages,
    tools,
    tool_choice: { type: 'function', function: { name: 'set_lamp' } },
    parallel_tool_calls: false,
    max_tokens: 400,
    seed: 4,
  });
  const called = (await stream.finalChatCompletion()).choices[0];
  assert.equal(called.finish_reason, 'tool_calls');
  checkArguments(called.message.tool_calls[0].function.arguments);
  messages.push(called.message, {
    role: 'tool',
    tool_call_id: called.message.tool_calls[0].id,
    content: '{"done": true}',
  });
  const after = await client.chat.completions.create({ model, messages, tools, max_tokens: 16 });
  assert.ok(after.usage.prompt_tokens > 0);
});

test('a call that is cut off leaves no mark in the content', async () => {
  for (let most = 1; most <= 12; most++) {
    const options = {
      model,
      messages: [{ role: 'user', content: 'Make the lamp in the church grey.' }],
      tools,
      tool_choice: 'required',
      max_tokens: most,
      seed: 3,
    };
    const whole = (await client.chat.completions.create(options)).choices[0];
    assert.equal(whole.finish_reason, 'length');
    assert.ok(!whole.message.content.includes('<'), whole.message.content);
    let streamed = '';
    for await (const chunk of await client.chat.completions.create({ ...options, stream: true }))
      streamed += chunk.choices[0]?.delta.content ?? '';
    assert.equal(streamed, whole.message.content);
  }
});

test('response_format and tools together: calls, or an answer of the schema', async () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'boolean' } },
    required: ['a'],
    additionalProperties: false,
  };
  const reply = await client.chat.completions.create({
    model,
    messages: question,
    tools,
    response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } },
    max_tokens: 400,
    seed: 6,
  });
  const { message } = reply.choices[0];
  if (message.tool_calls) checkArguments(message.tool_calls[0].function.arguments);
  else assert.equal(typeof JSON.parse(message.content).a, 'boolean');
});

test('response_format holds the answer to a schema', async () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'boolean' }, b: { enum: ['p', 'q'] } },
    required: ['a', 'b'],
    additionalProperties: false,
  };
  for (const stream of [false, true]) {
    const options = {
      model,
      messages: question,
      response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } },
      max_tokens: 100,
      seed: 5,
    };
    const reply = stream
      ? await client.chat.completions.stream(options).finalChatCompletion()
      : await client.chat.completions.create(options);
    const value = JSON.parse(reply.choices[0].message.content);
    assert.equal(typeof value.a, 'boolean');
    assert.ok(['p', 'q'].includes(value.b));
  }
});

test('logarithms of probabilities', async () => {
  const reply = await client.chat.completions.create({
    model,
    messages: question,
    max_tokens: 4,
    temperature: 0,
    logprobs: true,
    top_logprobs: 3,
  });
  const tokens = reply.choices[0].logprobs.content;
  assert.equal(tokens.length, reply.usage.completion_tokens);
  for (const token of tokens) {
    assert.equal(token.top_logprobs.length, 3);
    assert.ok(token.logprob <= 0);
    // greedy: the likeliest was taken
    assert.equal(token.token, token.top_logprobs[0].token);
    assert.ok(Math.abs(token.logprob - token.top_logprobs[0].logprob) < 1e-5);
    assert.ok(token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob);
  }
});

test('logarithms of probabilities of completions, in lists', async () => {
  const options = { model, prompt: 'Once upon', max_tokens: 6, temperature: 0, logprobs: 2 };
  const whole = (await client.completions.create(options)).choices[0];
  const { tokens, token_logprobs, top_logprobs, text_offset } = whole.logprobs;
  assert.equal(tokens.length, 6);
  assert.equal(tokens.join(''), whole.text);
  tokens.forEach((token, i) => {
    assert.equal(whole.text.slice(text_offset[i], text_offset[i] + token.length), token);
    assert.ok(Math.abs(top_logprobs[i][token] - token_logprobs[i]) < 1e-5);
  });
  const streamed = [];
  for await (const chunk of await client.completions.create({ ...options, stream: true }))
    streamed.push(...(chunk.choices[0]?.logprobs?.tokens ?? []));
  assert.deepEqual(streamed, tokens);
});

test('two answers differ, and a seed repeats them', async () => {
  const options = { model, messages: question, max_tokens: 24, n: 2, seed: 7, temperature: 1.5 };
  const first = await client.chat.completions.create(options);
  const second = await client.chat.completions.create(options);
  const texts = first.choices.map((choice) => choice.message.content);
  assert.equal(texts.length, 2);
  assert.notEqual(texts[0], texts[1]);
  assert.deepEqual(
    second.choices.map((choice) => choice.message.content),
    texts,
  );
});

test('a text to stop at is not told', async () => {
  const options = { model, prompt: 'Once upon a time', max_tokens: 40, temperature: 0 };
  const whole = (await client.completions.create(options)).choices[0];
  const stop = whole.text.slice(5, 12);
  const cut = (await client.completions.create({ ...options, stop: [stop] })).choices[0];
  assert.equal(cut.finish_reason, 'stop');
  assert.equal(cut.text, whole.text.slice(0, whole.text.indexOf(stop)));
});

test('completions are echoed, and streamed to the same text', async () => {
  const options = { model, prompt: ['Once', 'There was'], max_tokens: 8, temperature: 0, echo: true };
  const whole = await client.completions.create(options);
  const texts = ['', ''];
  for await (const chunk of await client.completions.create({ ...options, stream: true }))
    for (const choice of chunk.choices)
      texts[choice.index] += choice.text;
  assert.deepEqual(
    whole.choices.map((choice) => choice.text),
    texts,
  );
  assert.ok(texts[1].startsWith('There was'));
});

async function busySlots() {
  const headers = { Authorization: 'Bearer k1' };
  const slots = await (await fetch(`${process.env.WEIR_URL}/slots`, { headers })).json();
  return slots.filter((slot) => slot.is_processing).length;
}

test('a client that goes away frees its slots', async () => {
  const abort = new AbortController();
  const options = { model, prompt: 'Once', max_tokens: 4000, ignore_eos: true, stream: true };
  const begin = () => client.completions.create(options, { signal: abort.signal });
  const streams = await Promise.all([begin(), begin()]);
  await Promise.all(streams.map((stream) => stream[Symbol.asyncIterator]().next()));
  assert.equal(await busySlots(), 2);
  abort.abort();
  // Both would go on for ten seconds and more.
  const until = Date.now() + 4000;
  let busy = 2;
  while (busy > 0 && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    busy = await busySlots();
  }
  assert.equal(busy, 0);
});

test('errors have the classes of the client', async () => {
  const bad = new OpenAI({ baseURL: `${process.env.WEIR_URL}/v1`, apiKey: 'bad', maxRetries: 0 });
  await assert.rejects(
    bad.chat.completions.create({ model, messages: question }),
    OpenAI.AuthenticationError,
  );
  await assert.rejects(
    client.chat.completions.create({ model, messages: question, n: 99 }),
    (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.type, 'invalid_request_error');
      assert.match(error.message, /Field 'n': Value must be between 1 <= value <= 2, but got 99/);
      return true;
    },
  );
  const long = [{ role: 'user', content: 'word '.repeat(9000) }];
  await assert.rejects(
    client.chat.completions.create({ model, messages: long, stream: true }),
    (error) => error.status === 400 && error.type === 'exceed_context_size_error',
  );
  await assert.rejects(
    client.embeddings.create({ model, input: 'hi', encoding_format: 'float' }),
    (error) => error.status === 501,
  );
});

test('responses, whole and streamed', async () => {
  const options = { model, input: 'Hello, who are you?', max_output_tokens: 60, temperature: 0 };
  const whole = await client.responses.create(options);
  assert.ok(['completed', 'incomplete'].includes(whole.status));
  const stream = client.responses.stream(options);
  let text = '';
  let sequence = 0;
  for await (const event of stream) {
    assert.equal(event.sequence_number, sequence++);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  const final = await stream.finalResponse();
  assert.equal(final.output_text, whole.output_text);
  assert.equal(text, whole.output_text);
});

test('a text is scored: its own tokens have logarithms of probabilities', async () => {
  const options = { model, max_tokens: 0, echo: true, logprobs: 1, temperature: 0 };
  const scored = await client.completions.create({ ...options, prompt: ['Once upon', 'Once'] });
  assert.deepEqual(scored.choices.map(({ text }) => text), ['Once upon', 'Once']);
  const { tokens, token_logprobs, top_logprobs, text_offset } = scored.choices[0].logprobs;
  assert.equal(tokens.join(''), 'Once upon');
  assert.equal(token_logprobs[0], null);
  assert.ok(token_logprobs.slice(1).every((logprob) => logprob <= 0));
  assert.ok(top_logprobs.slice(1).every((top, i) => tokens[i + 1] in top));
  assert.equal(text_offset[0], 0);
  assert.equal(scored.usage.completion_tokens, 0);
  const told = { text: '', tokens: [] };
  const stream = await client.completions.create({ ...options, prompt: 'Once upon', stream: true });
  for await (const { choices } of stream) {
    told.text += choices[0].text;
    told.tokens.push(...(choices[0].logprobs?.token_logprobs ?? []));
  }
  assert.deepEqual(told, { text: 'Once upon', tokens: token_logprobs });
});

test('logarithms of probabilities of a response', async () => {
  const options = {
    model,
    input: 'Hello, who are you?',
    max_output_tokens: 60,
    temperature: 0,
    include: ['message.output_text.logprobs'],
    top_logprobs: 2,
  };
  const whole = await client.responses.create(options);
  const [part] = whole.output.at(-1).content;
  assert.equal(part.logprobs.map(({ token }) => token).join(''), whole.output_text);
  for (const token of part.logprobs) {
    assert.equal(token.top_logprobs.length, 2);
    assert.equal(token.token, token.top_logprobs[0].token); // greedy
  }
  const told = [];
  let done;
  for await (const event of await client.responses.create({ ...options, stream: true })) {
    if (event.type === 'response.output_text.delta') told.push(...event.logprobs);
    if (event.type === 'response.output_text.done') done = event.logprobs;
  }
  assert.deepEqual(told, part.logprobs);
  assert.deepEqual(done, part.logprobs);
});

test('a call among the items of a response', async () => {
  const flat = { type: 'function', strict: false, ...tools[0].function };
  const options = {
    model,
    instructions: 'You are a helper in a small village.',
    input: [{ role: 'user', content: 'Make the lamp in the church grey.' }],
    tools: [flat],
    tool_choice: 'required',
    parallel_tool_calls: false,
    max_output_tokens: 400,
  };
  const stream = client.responses.stream(options);
  const final = await stream.finalResponse();
  const call = final.output.find((item) => item.type === 'function_call');
  assert.equal(call.name, 'set_lamp');
  checkArguments(call.arguments);
  const after = await client.responses.create({
    ...options,
    input: [
      ...options.input,
      call,
      { type: 'function_call_output', call_id: call.call_id, output: '{"done": true}' },
    ],
    tool_choice: 'none',
    max_output_tokens: 8,
  });
  assert.ok(after.usage.input_tokens > final.usage.input_tokens);
});
