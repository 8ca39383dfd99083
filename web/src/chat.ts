// SPDX-License-Identifier: MIT
// Taking turns: what a message, another try, an edit or the results of calls do to a conversation,
// and the reply that follows.
import { addChunk, readProgress } from "./reply";
import { chatRequest } from "./request";
import { failureOf, streamChat } from "./server";
import type { Run, Store } from "./store";
import type { AssistantMessage, Message, Timings } from "./types";
import { newId, newReply } from "./types";

const ratesMax = 60; // points of the curve
const rate_ms = 100; // of a point: single tokens differ by what else the machine does

function titleOf(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 60 ? `${line.slice(0, 59)}\u2026` : line;
}

// A point of the curve for each stretch of tokens.
function addRate(run: Run, timings: Timings | null): void {
  const tokens = timings?.predicted_n ?? 0;
  const ms = timings?.predicted_ms ?? 0;
  if (tokens < 1) return;
  const { since } = run;
  if (since === null) {
    run.since = { tokens, ms }; // the first token comes with the prompt
  } else if (ms - since.ms >= rate_ms && tokens > since.tokens) {
    const rate = ((tokens - since.tokens) / (ms - since.ms)) * 1000;
    run.rates = [...run.rates.slice(1 - ratesMax), rate];
    run.since = { tokens, ms };
  }
}

function addTimed(before: AssistantMessage, chunk: unknown, beganAt: number): AssistantMessage {
  const after = addChunk(before, chunk);
  const grew = after.reasoning.length > before.reasoning.length;
  return grew ? { ...after, reasoningMs: Date.now() - beganAt } : after;
}

// What a person who listens is told of a reply that has ended.
function spoken(message: AssistantMessage): string {
  if (message.finish === "stopped" && !message.failure) return "Stopped.";
  const calls = message.calls.map((call) => `The model calls ${call.name}.`).join(" ");
  return [message.content, calls, message.failure?.message ?? ""].filter(Boolean).join(" ");
}

export class Chat {
  constructor(private readonly store: Store) {}

  // Resolves to false where another tab came before, and the message is not said.
  async send(text: string): Promise<boolean> {
    const message: Message = { role: "user", id: newId(), content: text };
    const { current } = this.store;
    if (current) return this.replyTo(current.id, [...current.messages, message]);
    const { id, messages } = this.store.create(titleOf(text), [message]);
    return this.replyTo(id, messages);
  }

  // Another reply in place of the last one, or of one that failed. Here and below, `before` is called
  // when it is sure that there will be a reply, and all is still as it was.
  again(before: () => void): void {
    const { current } = this.store;
    if (!current) return;
    const { id, messages } = current;
    const isReplaced = messages.at(-1)?.role === "assistant";
    void this.replyTo(id, isReplaced ? messages.slice(0, -1) : messages, before);
  }

  // What was said last is said otherwise; what followed goes.
  edit(messageId: string, text: string, before: () => void): void {
    const current = this.store.current;
    const index = current?.messages.findIndex(({ id }) => id === messageId) ?? -1;
    if (!current || index < 0) return;
    const message: Message = { role: "user", id: newId(), content: text };
    void this.replyTo(current.id, [...current.messages.slice(0, index), message], before);
  }

  // The template tells results apart by their order alone: it is that of the calls.
  sendResults(message: AssistantMessage, results: string[], before: () => void): void {
    const current = this.store.current;
    if (!current) return;
    const said = message.calls.map((call, index): Message => ({
      role: "tool",
      id: newId(),
      callId: call.id,
      name: call.name,
      content: results[index] ?? "",
    }));
    void this.replyTo(current.id, [...current.messages, ...said], before);
  }

  stop(id: string | null): void {
    if (id !== null) this.store.stop(id);
  }

  private async replyTo(id: string, asked: Message[], before?: () => void): Promise<boolean> {
    const run = await this.store.claim(id);
    if (!run) return false;
    before?.();
    void this.reply(id, asked, run);
    return true;
  }

  private async reply(id: string, asked: Message[], run: Run): Promise<void> {
    const { store } = this;
    let message = newReply();
    store.setMessages(id, [...asked, message]);
    store.begin(id, run);
    store.announce("The model is answering.");
    try {
      const request = chatRequest(asked, store.state.settings);
      const beganAt = Date.now();
      for await (const chunk of streamChat(request, store.state.key, run.controller.signal)) {
        message = addTimed(message, chunk, beganAt);
        addRate(run, message.timings);
        run.progress = readProgress(chunk);
        store.setReply(id, message);
      }
      message = { ...message, finish: message.finish ?? "stop" };
    } catch (error) {
      const isStopped = run.controller.signal.aborted;
      message = { ...message, failure: isStopped ? null : failureOf(error), finish: "stopped" };
      if (message.failure?.status === 0) void store.findServer(); // tells when it is back
    }
    store.setReply(id, message);
    const conversation = store.find(id); // null: it was deleted meanwhile
    if (conversation) store.setMessages(id, conversation.messages);
    store.end(id, run);
    if (store.state.currentId === id) store.announce(spoken(message));
    else if (conversation) store.announce(`A reply has come: ${conversation.title}`);
  }
}
