// SPDX-License-Identifier: MIT
// A reply as its chunks add up. Takes nothing of a chunk on trust but its being JSON.
import type { AssistantMessage, ByteClass, Call, Finish, Timings } from "./types";

type Fields = Record<string, unknown>;

export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function amount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

const timingKeys = [
  "cache_n",
  "prompt_n",
  "prompt_ms",
  "prompt_per_second",
  "predicted_n",
  "predicted_ms",
  "predicted_per_second",
  "draft_n",
  "draft_n_accepted",
] as const;

export const byteClasses: readonly { key: ByteClass; label: string; what: string }[] = [
  { key: "weights", label: "Weights", what: "matrices and norms of the model" },
  { key: "embedding", label: "Embedding", what: "rows looked up for tokens" },
  { key: "kv", label: "KV cache", what: "keys and values of attention" },
  { key: "state", label: "State", what: "recurrent states of the delta rule" },
  { key: "conv", label: "Convolution", what: "rings before the convolutions" },
  { key: "activations", label: "Activations", what: "what ops hand to each other" },
  { key: "logits", label: "Logits", what: "a number for each token of the vocabulary" },
];

export function readTimings(value: unknown): Timings | null {
  const from = fields(value);
  const timings: Timings = {};
  for (const key of timingKeys) {
    const number = amount(from[key]);
    if (number !== undefined) timings[key] = number;
  }
  if (typeof from.bytes === "object" && from.bytes !== null) {
    timings.bytes = {};
    for (const { key } of byteClasses) {
      const number = amount(fields(from.bytes)[key]);
      if (number !== undefined) timings.bytes[key] = number;
    }
  }
  return Object.keys(timings).length > 0 ? timings : null;
}

function readFinish(value: unknown): Finish | null {
  return value === "stop" || value === "length" || value === "tool_calls" ? value : null;
}

// Deltas name a call by its index; the first one of each has its id and name.
function addCalls(calls: Call[], deltas: unknown[]): Call[] {
  const out = calls.slice();
  for (const delta of deltas) {
    const index = amount(fields(delta).index) ?? out.length - 1;
    const part = fields(fields(delta).function);
    if (!Number.isInteger(index) || index < 0 || index > out.length) continue;
    const call = out[index] ?? { id: "", name: "", arguments: "" };
    out[index] = {
      id: call.id || text(fields(delta).id),
      name: call.name || text(part.name),
      arguments: call.arguments + text(part.arguments),
    };
  }
  return out;
}

export function addChunk(message: AssistantMessage, chunk: unknown): AssistantMessage {
  const choice = fields(list(fields(chunk).choices)[0]);
  const delta = fields(choice.delta);
  const deltas = list(delta.tool_calls);
  return {
    ...message,
    content: message.content + text(delta.content),
    reasoning: message.reasoning + text(delta.reasoning_content),
    calls: deltas.length > 0 ? addCalls(message.calls, deltas) : message.calls,
    finish: readFinish(choice.finish_reason) ?? message.finish,
    timings: readTimings(fields(chunk).timings) ?? message.timings,
  };
}

// Of a prompt, how much is read: 0 to 1; null where the chunk does not say.
export function readProgress(chunk: unknown): { processed: number; total: number } | null {
  const progress = fields(fields(chunk).prompt_progress);
  const total = amount(progress.total);
  const processed = amount(progress.processed);
  return total && processed !== undefined ? { processed, total } : null;
}
