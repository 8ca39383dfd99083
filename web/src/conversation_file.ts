// SPDX-License-Identifier: MIT
// Conversations as JSON: what is exported, and what is taken back. A file may be anybody's, so each
// value is looked at before it is one of ours.
import { amount, fields, list, readTimings, text } from "./reply";
import type { AssistantMessage, Call, Conversation, Failure, Finish, Message } from "./types";
import { newId } from "./types";

const format = "weir.conversations/1";

export function exportText(conversations: Conversation[]): string {
  return `${JSON.stringify({ format, conversations }, null, 2)}\n`;
}

function readCall(value: unknown): Call {
  const call = fields(value);
  return { id: text(call.id), name: text(call.name), arguments: text(call.arguments) };
}

function readFailure(value: unknown): Failure | null {
  const from = fields(value);
  if (text(from.message) === "") return null;
  return {
    message: text(from.message),
    status: amount(from.status) ?? 0,
    type: text(from.type),
    retryAfter: null, // that was then
  };
}

const finishes: readonly unknown[] = ["stop", "length", "tool_calls", "stopped"];

function readAssistant(from: Record<string, unknown>): AssistantMessage {
  return {
    role: "assistant",
    id: text(from.id) || newId(),
    content: text(from.content),
    reasoning: text(from.reasoning),
    reasoningMs: amount(from.reasoningMs) ?? 0,
    calls: list(from.calls).map(readCall),
    // A reply that was under way when the page was closed has been stopped by that.
    finish: finishes.includes(from.finish) ? (from.finish as Finish) : "stopped",
    failure: readFailure(from.failure),
    timings: readTimings(from.timings),
  };
}

function readMessage(value: unknown): Message | null {
  const from = fields(value);
  switch (from.role) {
    case "user":
      return { role: "user", id: text(from.id) || newId(), content: text(from.content) };
    case "tool":
      return {
        role: "tool",
        id: text(from.id) || newId(),
        callId: text(from.callId),
        name: text(from.name),
        content: text(from.content),
      };
    case "assistant":
      return readAssistant(from);
    default:
      return null;
  }
}

// Of the page's own store too, which an older page may have filled.
export function readConversation(value: unknown): Conversation | null {
  const from = fields(value);
  const messages = list(from.messages).map(readMessage);
  if (messages.length === 0 || messages.includes(null)) return null;
  return {
    id: text(from.id) || newId(),
    title: text(from.title).slice(0, 200) || "Untitled",
    updated: amount(from.updated) ?? 0,
    messages: messages as Message[],
  };
}

// Throws with a reason for a person. Identities are new ones: nothing that is there is replaced.
export function importText(source: string): Conversation[] {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw new Error("The file is not JSON.");
  }
  if (fields(value).format !== format) {
    throw new Error(`The file has no conversations of this page ("format": "${format}").`);
  }
  return list(fields(value).conversations).map((entry, index) => {
    const conversation = readConversation(entry);
    if (conversation === null) throw new Error(`Conversation ${index + 1} of the file is damaged.`);
    const messages = conversation.messages.map((message) => ({ ...message, id: newId() }));
    return { ...conversation, id: newId(), messages };
  });
}
