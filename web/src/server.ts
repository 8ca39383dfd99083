// SPDX-License-Identifier: MIT
// The server's API, as far as the page uses it. Addresses are relative, since the server may have a
// prefix.
import { amount, fields, list, text } from "./reply";
import { readEvents } from "./sse";
import type { Failure, SamplingKey } from "./types";

export interface ServerFacts {
  model: string;
  parameters: number | null;
  bytes: number | null; // of the model's file
  context: number | null; // tokens that a conversation can have
  defaults: Partial<Record<SamplingKey, number>>;
}

class RequestError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export function failureOf(error: unknown): Failure {
  if (error instanceof RequestError) return error.failure;
  // What fetch throws says nothing that a person could use.
  return {
    message: "The server cannot be reached, or the connection broke off.",
    status: 0,
    type: "connection",
    retryAfter: null,
  };
}

function readFailure(value: unknown, status: number, retryAfter: number | null): Failure {
  const error = fields(fields(value).error);
  return {
    message: text(error.message) || `The server answered with status ${status}.`,
    status: amount(error.code) ?? status,
    type: text(error.type),
    retryAfter,
  };
}

async function request(path: string, key: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key !== "") headers.set("Authorization", `Bearer ${key}`);
  const response = await fetch(path, { ...init, headers, credentials: "omit", redirect: "error" });
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  throw new RequestError(readFailure(body, response.status, wait >= 0 ? wait : null));
}

async function get(path: string, key: string): Promise<unknown> {
  return (await request(path, key, { signal: AbortSignal.timeout(10_000) })).json();
}

// Without an alias a model is called by its path, of which the last part tells it.
export function modelName(id: string): string {
  const name = id.slice(id.search(/[^/]*$/)).replace(/\.gguf$/i, "");
  return name || "model";
}

export async function readFacts(key: string): Promise<ServerFacts> {
  const model = fields(list(fields(await get("v1/models", key)).data)[0]);
  const meta = fields(model.meta);
  // Without the key there are no properties; the first message will say so.
  const props = fields(await get("props", key).catch(() => null));
  const settings = fields(props.default_generation_settings);
  const params = fields(settings.params);
  const keys: SamplingKey[] = ["temperature", "top_p", "top_k", "min_p"];
  const defaults: ServerFacts["defaults"] = {};
  for (const name of keys) {
    const value = amount(params[name]);
    if (value !== undefined) defaults[name] = Number(value.toPrecision(4)); // 0.8 is sent as an F32
  }
  return {
    model: modelName(text(model.id)),
    parameters: amount(meta.n_params) ?? null,
    bytes: amount(meta.size) ?? null,
    context: amount(settings.n_ctx) ?? amount(meta.n_ctx) ?? null,
    defaults,
  };
}

// The chunks of a reply. Throws a RequestError for an error of the server, in the stream too, and
// for a stream that ends before it was complete.
export async function* streamChat(
  body: Record<string, unknown>,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const response = await request("v1/chat/completions", key, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (response.body === null) throw new TypeError("no body");
  for await (const data of readEvents(response.body)) {
    if (data === "[DONE]") return;
    const chunk: unknown = JSON.parse(data);
    if (fields(chunk).error !== undefined) throw new RequestError(readFailure(chunk, 500, null));
    yield chunk;
  }
  throw new TypeError("the stream ended without its last event");
}
