// SPDX-License-Identifier: MIT
// What the server is asked for a reply to a conversation.
import type { AssistantMessage, Call, Message, Settings } from "./types";
import { samplingFields } from "./types";

// The server refuses arguments that are no object, and a reply that was stopped may end in them.
function isWhole(call: Call): boolean {
  try {
    const value: unknown = JSON.parse(call.arguments || "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function assistantEntry(message: AssistantMessage): Record<string, unknown> | null {
  const calls = message.calls.filter(isWhole);
  if (message.content === "" && calls.length === 0) return null; // it failed at once
  const entry: Record<string, unknown> = { role: "assistant", content: message.content };
  if (message.reasoning !== "") entry.reasoning_content = message.reasoning;
  if (calls.length > 0) {
    entry.tool_calls = calls.map(({ id, name, arguments: text }) => ({
      id,
      type: "function",
      function: { name, arguments: text || "{}" },
    }));
  }
  return entry;
}

function entryOf(message: Message): Record<string, unknown> | null {
  switch (message.role) {
    case "user":
      return { role: "user", content: message.content };
    case "tool":
      return {
        role: "tool",
        tool_call_id: message.callId,
        name: message.name,
        content: message.content,
      };
    case "assistant":
      return assistantEntry(message);
  }
}

// The list of tools that a text is, or what is wrong with it.
export function readTools(text: string): { tools: unknown[] } | { error: string } {
  if (text.trim() === "") return { tools: [] };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { error: `Not JSON: ${(error as Error).message}` };
  }
  if (!Array.isArray(value)) return { error: "Tools are a list: [ ... ]" };
  const bad = value.findIndex((tool) => typeof tool?.function?.name !== "string");
  if (bad >= 0) return { error: `Tool ${bad + 1} has no "function" with a "name"` };
  return { tools: value };
}

export function chatRequest(messages: Message[], settings: Settings): Record<string, unknown> {
  const entries = messages.map(entryOf).filter((entry) => entry !== null);
  if (settings.system.trim() !== "") entries.unshift({ role: "system", content: settings.system });
  const request: Record<string, unknown> = {
    messages: entries,
    stream: true,
    stream_options: { include_usage: true },
    timings_per_token: true,
    return_progress: true,
  };
  for (const { key } of samplingFields) {
    if (settings[key] !== null) request[key] = settings[key];
  }
  if (settings.reasoning !== "auto") {
    request.chat_template_kwargs = { enable_thinking: settings.reasoning === "on" };
  }
  const read = readTools(settings.tools);
  if ("tools" in read && read.tools.length > 0) request.tools = read.tools;
  return request;
}
