// SPDX-License-Identifier: MIT
// What conversations, their messages and the settings are. Knows neither server nor screen.

export interface Call {
  id: string;
  name: string;
  arguments: string; // JSON as the model wrote it, perhaps cut short
}

export interface Failure {
  message: string;
  status: number; // of HTTP; 0: there was no response, or it broke off
  type: string;
  retryAfter: number | null; // seconds, as the server asks for
}

// Of weir, by class: bytes touched by the steps of a reply so far.
export type ByteClass =
  "weights" | "embedding" | "kv" | "state" | "conv" | "activations" | "logits";

export interface Timings {
  cache_n?: number;
  prompt_n?: number;
  prompt_ms?: number;
  prompt_per_second?: number;
  predicted_n?: number;
  predicted_ms?: number;
  predicted_per_second?: number;
  draft_n?: number;
  draft_n_accepted?: number;
  bytes?: Partial<Record<ByteClass, number>>;
}

// "stop", "length" and "tool_calls" come from the server; "stopped" is the user's doing.
export type Finish = "stop" | "length" | "tool_calls" | "stopped";

export interface UserMessage {
  role: "user";
  id: string;
  content: string;
}

export interface ToolMessage {
  role: "tool";
  id: string;
  callId: string;
  name: string;
  content: string;
}

export interface AssistantMessage {
  role: "assistant";
  id: string;
  content: string;
  reasoning: string;
  reasoningMs: number; // how long it took to come, by the browser's clock
  calls: Call[];
  finish: Finish | null; // null: not there yet, or failed
  failure: Failure | null;
  timings: Timings | null;
}

export type Message = UserMessage | AssistantMessage | ToolMessage;

export interface Conversation {
  id: string;
  title: string;
  updated: number; // milliseconds since 1970
  messages: Message[];
}

type Theme = "system" | "light" | "dark";
export type Reasoning = "auto" | "on" | "off";

// null and "": the server decides.
export interface Settings {
  system: string;
  tools: string; // JSON: a list of tools, in the form of the API
  reasoning: Reasoning;
  temperature: number | null;
  top_p: number | null;
  top_k: number | null;
  min_p: number | null;
  max_tokens: number | null;
  seed: number | null;
  theme: Theme;
  bill: boolean; // whether it is unfolded
}

export type SamplingKey = "temperature" | "top_p" | "top_k" | "min_p" | "max_tokens" | "seed";

export interface SamplingField {
  key: SamplingKey;
  label: string;
  help: string;
  min: number;
  max: number;
  step: number;
}

export const samplingFields: readonly SamplingField[] = [
  {
    key: "temperature",
    label: "Temperature",
    min: 0,
    max: 5,
    step: 0.05,
    help: "0: the likeliest",
  },
  { key: "top_p", label: "Top p", min: 0, max: 1, step: 0.01, help: "1: off" },
  { key: "top_k", label: "Top k", min: 0, max: 1_000_000, step: 1, help: "0: off" },
  { key: "min_p", label: "Min p", min: 0, max: 1, step: 0.01, help: "0: off" },
  {
    key: "max_tokens",
    label: "Tokens at most",
    min: -1,
    max: 2 ** 31 - 1,
    step: 1,
    help: "-1: any",
  },
  { key: "seed", label: "Seed", min: -1, max: 2 ** 32 - 1, step: 1, help: "-1: another each time" },
];

export const defaultSettings: Readonly<Settings> = {
  system: "",
  tools: "",
  reasoning: "auto",
  temperature: null,
  top_p: null,
  top_k: null,
  min_p: null,
  max_tokens: null,
  seed: null,
  theme: "system",
  bill: true,
};

// Without crypto.randomUUID, which pages over plain HTTP do not have.
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function newReply(): AssistantMessage {
  return {
    role: "assistant",
    id: newId(),
    content: "",
    reasoning: "",
    reasoningMs: 0,
    calls: [],
    finish: null,
    failure: null,
    timings: null,
  };
}
