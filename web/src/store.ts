// SPDX-License-Identifier: MIT
// The state of the page: conversations, settings, what is running. Changes go through here, and
// who listens is told, at most 25 times a second while a reply comes. So are other tabs, which have
// the same conversations: a reply is of the tab where it comes until it ends. Knows no screen.
import { loadKey, loadSettings, saveKey, saveSettings } from "./preferences";
import type { ServerFacts } from "./server";
import { failureOf, readFacts } from "./server";
import type { Shelf } from "./shelf";
import type { Tabs, Word } from "./tabs";
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
  elsewhere: ReadonlySet<string>; // conversations whose reply comes in another tab
  settings: Settings;
  key: string;
  server: ServerFacts | null;
  serverFailure: Failure | null;
  notice: Notice | null;
  announcement: string; // for those who listen to the page
}

const notKept = "This browser keeps nothing for this page: conversations go when it is closed.";

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
const announce_ms = 5000; // then it is not found a second time by who reads the page to its end
const save_ms = 2000;
const open_ms = 4000;
const look_ms = 2000;

export class Store {
  state: State = {
    isLoaded: false,
    conversations: [],
    currentId: null,
    runs: new Map(),
    elsewhere: new Set(),
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
  private saved = new Map<string, number>(); // when, by conversation
  private removed = new Set<string>(); // perhaps while they are read, or others keep them
  private restored = new Set<string>(); // of them, in this tab
  private wantedId = ""; // to be opened when it is read
  private shelf: Shelf | null = null; // until it is open

  constructor(private readonly tabs: Tabs) {
    tabs.listen((word) => this.hear(word));
    tabs.say({ kind: "came" });
  }

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

  // What was said, changed or removed before stays so. A shelf that takes long is done without until
  // it is there after all.
  async load(opening: Promise<Shelf | null>, wantedId: string): Promise<void> {
    this.wantedId = wantedId;
    const without = () => {
      this.change({ isLoaded: true });
      this.notify(notKept);
    };
    const timer = setTimeout(without, open_ms);
    const shelf = await opening;
    const kept = await shelf?.all().catch(() => []);
    clearTimeout(timer);
    if (!shelf || !kept) return without();
    this.shelf = shelf;
    const said = this.state.conversations;
    const known = new Set([...this.removed, ...said.map(({ id }) => id)]);
    this.take(kept.filter(({ id }) => !known.has(id)));
    if (this.state.notice?.text === notKept) this.change({ notice: null });
    if (said.length > 0) this.keep(said);
    const wanted = this.find(this.wantedId)?.id ?? null;
    this.change({ isLoaded: true, currentId: this.state.currentId ?? wanted });
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

  announce(announcement: string): void {
    this.change({ announcement });
    setTimeout(() => {
      if (this.state.announcement === announcement) this.change({ announcement: "" });
    }, announce_ms);
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

  isBusy(id: string | null): boolean {
    return id !== null && (this.state.runs.has(id) || this.state.elsewhere.has(id));
  }

  open(id: string | null): void {
    this.wantedId = "";
    this.change({ currentId: id });
  }

  create(title: string, messages: Message[]): Conversation {
    const conversation = { id: newId(), title, updated: Date.now(), messages };
    this.replace(conversation);
    this.open(conversation.id);
    return conversation;
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
    if (conversation && Date.now() - (this.saved.get(id) ?? 0) > save_ms) this.keep([conversation]);
  }

  setRun(id: string, run: Run | null): void {
    const runs = new Map(this.state.runs);
    if (run) runs.set(id, run);
    else runs.delete(id);
    this.change({ runs }, run === null);
    this.tabs.say({ kind: run ? "began" : "ended", id });
  }

  stop(id: string): void {
    this.state.runs.get(id)?.controller.abort();
    if (!this.state.elsewhere.has(id)) return;
    // At once: that tab may have died, and would never say that its reply has ended.
    this.tabs.say({ kind: "stop", id });
    this.setElsewhere(id, false);
    this.take(this.state.conversations.filter((other) => other.id === id).map(ended));
  }

  rename(id: string, title: string): void {
    const conversation = this.find(id);
    const trimmed = title.trim().slice(0, 200);
    if (conversation && trimmed !== "") this.replace({ ...conversation, title: trimmed });
  }

  remove(id: string): void {
    const conversation = this.find(id);
    if (!conversation) return;
    this.drop(id);
    void this.shelf?.remove(id).catch(() => {});
    this.tabs.say({ kind: "removed", id });
    this.notify(`Deleted "${conversation.title}".`, () => {
      this.replace(ended(conversation));
      this.change({ currentId: id, notice: null });
    });
  }

  add(conversations: Conversation[]): void {
    this.take(conversations);
    this.keep(conversations);
    const count = conversations.length;
    this.notify(`Imported ${count} conversation${count === 1 ? "" : "s"}.`);
  }

  // The page is closed, and its replies end with it.
  leave(): void {
    for (const [id, run] of this.state.runs) {
      const conversation = this.find(id);
      if (conversation) this.keep([ended(conversation)]);
      this.tabs.say({ kind: "ended", id });
      run.controller.abort();
    }
  }

  readPreferences(): void {
    const key = loadKey();
    const isOther = key !== this.state.key;
    this.change({ settings: loadSettings(), key });
    if (isOther) void this.findServer();
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

  // Puts a conversation in the place of the one with its identity, or of one that was removed.
  private replace(conversation: Conversation): void {
    const { id } = conversation;
    if (this.removed.delete(id)) {
      this.restored.add(id);
      this.tabs.say({ kind: "restored", id });
    }
    this.take([conversation]);
    this.keep([conversation]);
  }

  private take(changed: Conversation[]): void {
    const ids = new Set(changed.map(({ id }) => id));
    const others = this.state.conversations.filter(({ id }) => !ids.has(id));
    const conversations = [...changed, ...others].sort((a, b) => b.updated - a.updated);
    this.change({ conversations });
  }

  private drop(id: string): void {
    this.state.runs.get(id)?.controller.abort();
    this.removed.add(id);
    this.saved.delete(id);
    this.change({
      conversations: this.state.conversations.filter((other) => other.id !== id),
      currentId: this.state.currentId === id ? null : this.state.currentId,
    });
  }

  private keep(conversations: Conversation[]): void {
    for (const { id } of conversations) this.saved.set(id, Date.now());
    this.tabs.say({ kind: "kept", conversations });
    this.shelf?.put(conversations).catch((error: unknown) => {
      const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
      this.notify(
        isFull
          ? "The browser has no room left: export conversations, and delete some."
          : "The browser has not kept this conversation: export it if it is worth that.",
      );
    });
  }

  private setElsewhere(id: string, isThere: boolean): void {
    const elsewhere = new Set(this.state.elsewhere);
    if (isThere) elsewhere.add(id);
    else elsewhere.delete(id);
    this.change({ elsewhere });
  }

  // Of a conversation whose reply comes here, another tab can change the name alone.
  private merged(theirs: Conversation): Conversation {
    const mine = this.state.runs.has(theirs.id) ? this.find(theirs.id) : null;
    return mine ? { ...mine, title: theirs.title } : theirs;
  }

  private hear(word: Word): void {
    switch (word.kind) {
      case "came":
        for (const id of this.state.runs.keys()) this.tabs.say({ kind: "began", id });
        return;
      case "kept": {
        // Said before that tab has heard of a removal, it takes none back.
        const kept = word.conversations.filter(({ id }) => !this.removed.has(id));
        return this.take(kept.map((theirs) => this.merged(theirs)));
      }
      case "removed":
        this.drop(word.id);
        // With what this tab has put on the shelf before it heard.
        void this.shelf?.remove(word.id).catch(() => {});
        return;
      case "restored":
        this.removed.delete(word.id);
        return this.tabs.say({ kind: "cleared", id: word.id });
      case "cleared": {
        // Perhaps behind what was put there when it was restored.
        const conversation = this.restored.has(word.id) ? this.find(word.id) : null;
        if (conversation) this.keep([conversation]);
        return;
      }
      case "began":
        return this.setElsewhere(word.id, true);
      case "ended":
        return this.setElsewhere(word.id, false);
      case "stop":
        return this.state.runs.get(word.id)?.controller.abort();
    }
  }
}
