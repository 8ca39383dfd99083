// SPDX-License-Identifier: MIT
// The state of the page: conversations, settings, what is running. Changes go through here, and
// everybody who listens is told, at most 25 times a second while a reply comes. Knows no screen.
import { loadKey, loadSettings, saveKey, saveSettings } from "./preferences";
import type { ServerFacts } from "./server";
import { failureOf, readFacts } from "./server";
import type { Shelf } from "./shelf";
import type { AssistantMessage, Conversation, Failure, Message, Settings } from "./types";
import { newId } from "./types";

export interface Run {
  controller: AbortController;
  progress: { processed: number; total: number } | null; // of the prompt
  rates: number[]; // tokens a second, of the last stretches of tokens
  since: { tokens: number; ms: number } | null; // where the newest of them begins
}

export interface Notice {
  text: string;
  undo: (() => void) | null;
}

export interface State {
  isLoaded: boolean;
  conversations: Conversation[]; // the newest first
  currentId: string | null; // null: one that has no message yet
  runs: ReadonlyMap<string, Run>; // by conversation
  settings: Settings;
  key: string;
  server: ServerFacts | null;
  serverFailure: Failure | null;
  notice: Notice | null;
  announcement: string; // for those who listen to the page
}

// A reply that was under way has been stopped.
function ended(conversation: Conversation): Conversation {
  const messages = conversation.messages.map((message) =>
    message.role === "assistant" && message.finish === null
      ? { ...message, finish: "stopped" as const }
      : message,
  );
  return { ...conversation, messages };
}

const paint_ms = 40;
const save_ms = 2000;
const look_ms = 2000;

export class Store {
  state: State = {
    isLoaded: false,
    conversations: [],
    currentId: null,
    runs: new Map(),
    settings: loadSettings(),
    key: loadKey(),
    server: null,
    serverFailure: null,
    notice: null,
    announcement: "",
  };
  private listener: () => void = () => {};
  private paintTimer: ReturnType<typeof setTimeout> | null = null;
  private searches = 0;
  private saved = new Map<string, number>();

  constructor(private readonly shelf: Shelf) {}

  listen(listener: () => void): void {
    this.listener = listener;
  }

  change(patch: Partial<State>, isUrgent = true): void {
    this.state = { ...this.state, ...patch };
    if (isUrgent) {
      if (this.paintTimer !== null) clearTimeout(this.paintTimer);
      this.paintTimer = null;
      this.listener();
    } else if (this.paintTimer === null) {
      this.paintTimer = setTimeout(() => {
        this.paintTimer = null;
        this.listener();
      }, paint_ms);
    }
  }

  async load(wantedId: string): Promise<void> {
    const conversations = await this.shelf.all().catch(() => []);
    conversations.sort((a, b) => b.updated - a.updated);
    this.change({
      isLoaded: true,
      conversations,
      currentId: conversations.some(({ id }) => id === wantedId) ? wantedId : null,
    });
    if (!this.shelf.isLasting) {
      this.notify("This browser keeps nothing for this page: conversations go when it is closed.");
    }
  }

  // Asks again while the server loads its model or is away. The last call is the one that goes on.
  async findServer(): Promise<void> {
    const search = ++this.searches;
    const find = (patch: Partial<State>) => search === this.searches && this.change(patch);
    while (search === this.searches) {
      try {
        find({ server: await readFacts(this.state.key), serverFailure: null });
        return;
      } catch (error) {
        find({ serverFailure: failureOf(error) });
        await new Promise((resolve) => setTimeout(resolve, look_ms));
      }
    }
  }

  notify(text: string, undo: Notice["undo"] = null): void {
    this.change({ notice: { text, undo } });
  }

  get current(): Conversation | null {
    return this.find(this.state.currentId);
  }

  find(id: string | null): Conversation | null {
    return this.state.conversations.find((conversation) => conversation.id === id) ?? null;
  }

  open(id: string | null): void {
    this.change({ currentId: id });
  }

  create(title: string, messages: Message[]): Conversation {
    const conversation = { id: newId(), title, updated: Date.now(), messages };
    this.change({
      conversations: [conversation, ...this.state.conversations],
      currentId: conversation.id,
    });
    this.keep(conversation);
    return conversation;
  }

  // Puts a conversation in the place of the one with its identity.
  replace(conversation: Conversation): void {
    const others = this.state.conversations.filter(({ id }) => id !== conversation.id);
    const conversations = [conversation, ...others].sort((a, b) => b.updated - a.updated);
    this.change({ conversations });
    this.keep(conversation);
  }

  setMessages(id: string, messages: Message[]): void {
    const conversation = this.find(id);
    if (conversation) this.replace({ ...conversation, messages, updated: Date.now() });
  }

  // The last message while it grows: painted soon, kept now and then.
  setReply(id: string, message: AssistantMessage): void {
    const conversations = this.state.conversations.map((conversation) =>
      conversation.id === id
        ? { ...conversation, messages: [...conversation.messages.slice(0, -1), message] }
        : conversation,
    );
    this.change({ conversations }, false);
    const conversation = this.find(id);
    if (conversation && Date.now() - (this.saved.get(id) ?? 0) > save_ms) this.keep(conversation);
  }

  setRun(id: string, run: Run | null): void {
    const runs = new Map(this.state.runs);
    if (run) runs.set(id, run);
    else runs.delete(id);
    this.change({ runs }, run === null);
  }

  rename(id: string, title: string): void {
    const conversation = this.find(id);
    const trimmed = title.trim().slice(0, 200);
    if (conversation && trimmed !== "") this.replace({ ...conversation, title: trimmed });
  }

  remove(id: string): void {
    const conversation = this.find(id);
    if (!conversation) return;
    this.state.runs.get(id)?.controller.abort();
    this.change({
      conversations: this.state.conversations.filter((other) => other.id !== id),
      currentId: this.state.currentId === id ? null : this.state.currentId,
    });
    void this.shelf.remove(id).catch(() => {});
    this.notify(`Deleted "${conversation.title}".`, () => {
      this.replace(ended(conversation));
      this.change({ currentId: id, notice: null });
    });
  }

  add(conversations: Conversation[]): void {
    for (const conversation of conversations) this.replace(conversation);
    const count = conversations.length;
    this.notify(`Imported ${count} conversation${count === 1 ? "" : "s"}.`);
  }

  setSettings(patch: Partial<Settings>): void {
    const settings = { ...this.state.settings, ...patch };
    this.change({ settings });
    if (!saveSettings(settings)) this.notify("The browser has not kept the settings.");
  }

  setKey(key: string): void {
    this.change({ key });
    if (!saveKey(key)) this.notify("The browser has not kept the key.");
    void this.findServer();
  }

  private keep(conversation: Conversation): void {
    this.saved.set(conversation.id, Date.now());
    this.shelf.put(conversation).catch((error: unknown) => {
      const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
      this.notify(
        isFull
          ? "The browser has no room left: export conversations, and delete some."
          : "The browser has not kept this conversation: export it if it is worth that.",
      );
    });
  }
}
