// SPDX-License-Identifier: MIT
// The server at WEIR_URL, asked by Anthropic's own client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: process.env.WEIR_URL, apiKey: 'k1', maxRetries: 0 });
const model = 'shipped';
const question = [{ role: 'user', content: 'Hello, who are you?' }];
const tools = [
  {
    name: 'set_lamp',
    description: 'Sets the colour of a lamp',
    input_schema: {
      type: 'object',
      properties: { place: { type: 'string' }, level: { type: 'integer' } },
      required: ['place', 'level'],
    },
  },
];

const textOf = (message) =>
  message.content
    .filter((block) => block.type === 'text')
    .map((block) => block.text)
    .join('');

test('a message, whole and streamed', async () => {
  const options = { model, messages: question, max_tokens: 24, temperature: 0, system: 'Be kind.' };
  const whole = await client.messages.create(options);
  assert.equal(whole.type, 'message');
  assert.ok(whole.usage.output_tokens > 0);
  const stream = client.messages.stream(options);
  let deltas = '';
  stream.on('text', (delta) => {
    deltas += delta;
  });
  const final = await stream.finalMessage();
  assert.equal(textOf(final), textOf(whole));
  assert.equal(deltas, textOf(whole));
  assert.equal(final.stop_reason, whole.stop_reason);
  assert.ok(final.usage.cache_read_input_tokens > 0);
});

test('tokens are counted as they are used', async () => {
  const counted = await client.messages.countTokens({ model, messages: question });
  const message = await client.messages.create({ model, messages: question, max_tokens: 1 });
  const { input_tokens, cache_read_input_tokens } = message.usage;
  assert.equal(counted.input_tokens, input_tokens + cache_read_input_tokens);
});

test('a tool that must be called, and its result', async () => {
  const messages = [{ role: 'user', content: 'Make the lamp in the church grey.' }];
  const stream = client.messages.stream({
    model,
    messages,
    tools,
    tool_choice: { type: 'tool', name: 'set_lamp', disable_parallel_tool_use: true },
    max_tokens: 400,
  });
  const called = await stream.finalMessage();
  assert.equal(called.stop_reason, 'tool_use');
  const use = called.content.find((block) => block.type === 'tool_use');
  assert.equal(use.name, 'set_lamp');
  assert.equal(typeof use.input.place, 'string');
  assert.ok(Number.isInteger(use.input.level));
  messages.push(
    { role: 'assistant', content: called.content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'done' }] },
  );
  const after = await client.messages.create({ model, messages, tools, max_tokens: 8 });
  assert.ok(after.usage.output_tokens > 0);
});

test('thinking is a block of its own', async () => {
  const message = await client.messages.create({
    model,
    messages: question,
    max_tokens: 60,
    thinking: { type: 'enabled', budget_tokens: 8 },
  });
  assert.equal(message.content[0].type, 'thinking');
  assert.ok(message.content[0].thinking.length > 0);
});

test('an output format holds the text to a schema', async () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'boolean' }, b: { enum: ['p', 'q'] } },
    required: ['a', 'b'],
    additionalProperties: false,
  };
  const options = {
    model,
    messages: question,
    max_tokens: 100,
    output_config: { effort: 'low', format: { type: 'json_schema', schema } },
  };
  const parsed = (await client.messages.parse(options)).parsed_output;
  assert.equal(typeof parsed.a, 'boolean');
  assert.ok(['p', 'q'].includes(parsed.b));
  const streamed = JSON.parse(textOf(await client.messages.stream(options).finalMessage()));
  assert.deepEqual(Object.keys(streamed), ['a', 'b']);
  await assert.rejects(
    client.messages.create({ ...options, output_config: { format: { type: 'xml' } } }),
    (error) => error instanceof Anthropic.BadRequestError && /output_config/.test(error.message),
  );
});

test('errors have the classes of the client', async () => {
  const bad = new Anthropic({ baseURL: process.env.WEIR_URL, apiKey: 'bad', maxRetries: 0 });
  await assert.rejects(
    bad.messages.create({ model, messages: question, max_tokens: 1 }),
    Anthropic.AuthenticationError,
  );
  await assert.rejects(
    client.messages.create({ model, messages: 'x', max_tokens: 1 }),
    (error) => error instanceof Anthropic.BadRequestError && /messages/.test(error.message),
  );
});
