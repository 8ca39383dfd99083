// SPDX-License-Identifier: MIT
// The state of the page: conversations, settings, what is running. Changes go through here, and
// who listens is told, at most 25 times a second while a reply comes. So are other tabs, which have
// the same conversations: a reply is of the tab where it comes until it ends, by a lock where the
// browser has them. Knows no screen.
import { hasLocks, type Release, takeLock, whenFree } from "./locks";
import { loadKey, loadSettings, saveKey, saveSettings } from "./preferences";
import type { ServerFacts } from "./server";
import { failureOf, readFacts } from "./server";
import type { Shelf } from "./shelf";
import type { Tabs, Word } from "./tabs";
import type { AssistantMessage, Conversation, Failure, Message, Settings } from "./types";
import { newId } from "./types";

export interface Run {
  name: string; // among all tabs
  releases: Release[]; // of what no other tab may have while the reply comes
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
  claims: ReadonlyMap<string, Run>; // by conversation: replies that begin if no other tab objects
  runs: ReadonlyMap<string, Run>; // by conversation
  elsewhere: ReadonlyMap<string, string>; // by conversation: names of runs in other tabs
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

function newRun(): Run {
  return {
    name: newId(),
    releases: [],
    controller: new AbortController(),
    progress: null,
    rates: [],
    since: null,
  };
}

async function free(run: Run): Promise<void> {
  await Promise.all(run.releases.map((release) => release()));
}

// A copy of a map where the name has the value, or with null none.
function withEntry<T>(map: ReadonlyMap<string, T>, name: string, value: T | null): Map<string, T> {
  const copy = new Map(map);
  if (value === null) copy.delete(name);
  else copy.set(name, value);
  return copy;
}

// A conversation's lock is for who wants to reply in it; a run's is for who waits for its end, and
// thus is never in the way of who wants to reply next.
const replyLock = (id: string) => `weir.reply/${id}`;
const runLock = (name: string) => `weir.run/${name}`;

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
    claims: new Map(),
    runs: new Map(),
    elsewhere: new Map(),
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
  // As they were here, if they were; perhaps removed while they are read, or others keep them.
  private removed = new Map<string, Conversation | null>();
  private restored = new Set<string>(); // of them, in this tab
  private wantedId = ""; // to be opened when it is read
  private shelf: Shelf | null = null; // until it is open
  private written = Promise.resolve(); // what is to be kept has been, or cannot be
  private freed = Promise.resolve(); // runs that have ended hold nothing any more

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
    const known = new Set([...this.removed.keys(), ...said.map(({ id }) => id)]);
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

  // Whether a reply comes, here or in another tab.
  isBusy(id: string | null): boolean {
    return id !== null && (this.state.runs.has(id) || this.state.elsewhere.has(id));
  }

  // Whether one is about to, too.
  isClaimed(id: string | null): boolean {
    return this.isBusy(id) || (id !== null && this.state.claims.has(id));
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
    if (!conversation) return;
    // Always later, whatever the clock says: tabs tell by it which of them has heard of more.
    const updated = Math.max(Date.now(), conversation.updated + 1);
    this.replace({ ...conversation, messages, updated });
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

  // The right to reply in a conversation, to begin with. Null where another tab has it, or where what
  // is shown here is not all of the conversation; which of them, is told.
  async claim(id: string): Promise<Run | null> {
    const seen = this.find(id)?.updated;
    if (seen === undefined || this.isClaimed(id)) return null;
    const run = newRun();
    this.change({ claims: withEntry(this.state.claims, id, run) });
    const obstacle = await this.findObstacle(id, seen, run);
    if (obstacle === null) return run;
    await free(run);
    this.change({ claims: withEntry(this.state.claims, id, null) });
    if (obstacle !== "") this.notify(obstacle);
    return null;
  }

  begin(id: string, run: Run): void {
    this.change({
      claims: withEntry(this.state.claims, id, null),
      runs: withEntry(this.state.runs, id, run),
    });
    this.tabs.say({ kind: "began", id, run: run.name });
  }

  // Other tabs hear of it when they can read what this one has kept.
  end(id: string, run: Run): void {
    this.change({ runs: withEntry(this.state.runs, id, null) });
    const { freed, written } = this;
    this.freed = freed
      .then(() => written)
      .then(() => free(run))
      .then(() => this.tabs.say({ kind: "ended", id, run: run.name }));
  }

  stop(id: string): void {
    (this.state.runs.get(id) ?? this.state.claims.get(id))?.controller.abort();
    const run = this.state.elsewhere.get(id);
    if (run === undefined) return;
    this.tabs.say({ kind: "stop", id });
    // Without locks nobody can tell whether that tab has died, and will never say that it has ended.
    if (!hasLocks) this.endElsewhere(id, run);
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
    this.offerBack(conversation, `Deleted "${conversation.title}".`);
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
      this.tabs.say({ kind: "ended", id, run: run.name });
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
    const { id, updated } = conversation;
    if (this.removed.delete(id)) {
      this.restored.add(id);
      this.tabs.say({ kind: "restored", id, updated });
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
    this.removed.set(id, this.find(id) ?? this.removed.get(id) ?? null);
    this.saved.delete(id);
    this.change({
      conversations: this.state.conversations.filter((other) => other.id !== id),
      currentId: this.state.currentId === id ? null : this.state.currentId,
    });
  }

  private offerBack(conversation: Conversation, text: string): void {
    const { id } = conversation;
    this.notify(text, () => {
      // Another tab may have taken it back, and it may have gone on.
      if (this.removed.has(id)) this.replace(ended(conversation));
      this.change({ currentId: id, notice: null });
    });
  }

  private keep(conversations: Conversation[]): void {
    for (const { id } of conversations) this.saved.set(id, Date.now());
    this.tabs.say({ kind: "kept", conversations });
    if (!this.shelf) return;
    this.written = this.shelf.put(conversations).catch((error: unknown) => {
      const isFull = error instanceof DOMException && error.name === "QuotaExceededError";
      this.notify(
        isFull
          ? "The browser has no room left: export conversations, and delete some."
          : "The browser has not kept this conversation: export it if it is worth that.",
      );
    });
  }

  // Takes the locks of a run; null where nothing is in its way, "" where that has been told already.
  // What the tab before has kept is read, since its words may still be under way.
  private async findObstacle(id: string, seen: number, run: Run): Promise<string | null> {
    await this.freed;
    for (const name of [replyLock(id), runLock(run.name)]) {
      const release = await takeLock(name);
      if (!release) return "A reply comes in another tab.";
      run.releases.push(release);
    }
    const kept = (await this.shelf?.get(id).catch(() => null)) ?? null;
    const shown = this.find(id);
    if (!shown) return ""; // deleted meanwhile
    if (kept && kept.updated > shown.updated) this.take([kept]);
    const hasGoneOn = this.find(id)?.updated !== seen;
    return hasGoneOn ? "The conversation has gone on in another tab." : null;
  }

  private beginElsewhere(id: string, run: string): void {
    if (this.state.elsewhere.get(id) === run) return;
    this.change({ elsewhere: withEntry(this.state.elsewhere, id, run) });
    void whenFree(runLock(run)).then(() => this.endElsewhere(id, run)); // its tab may die
  }

  private endElsewhere(id: string, run: string): void {
    if (this.state.elsewhere.get(id) !== run) return;
    this.change({ elsewhere: withEntry(this.state.elsewhere, id, null) });
    this.take(this.state.conversations.filter((other) => other.id === id).map(ended));
  }

  // Of a conversation whose reply comes here, another tab can change the name alone.
  private merged(theirs: Conversation): Conversation {
    const mine = this.state.runs.has(theirs.id) ? this.find(theirs.id) : null;
    return mine ? { ...mine, title: theirs.title } : theirs;
  }

  // Words may come late. Said before that tab has heard of a removal, they take none back; and what
  // is older than what is here has perhaps been put over it.
  private hearKept(conversations: Conversation[]): void {
    const kept = conversations.filter(({ id }) => !this.removed.has(id));
    const isLate = ({ id, updated }: Conversation) => (this.find(id)?.updated ?? 0) > updated;
    const late = kept.filter(isLate).map(({ id }) => id);
    this.take(kept.map((theirs) => this.merged(theirs)).filter((theirs) => !isLate(theirs)));
    const mine = late.flatMap((id) => this.find(id) ?? []); // with the names that were taken
    if (mine.length > 0) this.keep(mine);
  }

  private hearRemoved(id: string): void {
    const conversation = this.find(id);
    const isSeen = this.state.currentId === id || this.state.runs.has(id);
    this.drop(id);
    // With what this tab has put on the shelf before it heard.
    void this.shelf?.remove(id).catch(() => {});
    // Perhaps of what has just been said here that tab knows nothing.
    if (conversation && isSeen) {
      this.offerBack(conversation, `"${conversation.title}" was deleted in another tab.`);
    }
  }

  // Has this tab heard more of it than the one that takes it back, all of that comes back.
  private hearRestored(id: string, updated: number): void {
    const mine = this.removed.get(id);
    this.removed.delete(id);
    if (mine && mine.updated > updated) {
      this.take([ended(mine)]);
      this.keep([ended(mine)]);
    }
    this.tabs.say({ kind: "cleared", id });
  }

  private hear(word: Word): void {
    switch (word.kind) {
      case "came":
        for (const [id, { name }] of this.state.runs) {
          this.tabs.say({ kind: "began", id, run: name });
        }
        return;
      case "kept":
        return this.hearKept(word.conversations);
      case "removed":
        return this.hearRemoved(word.id);
      case "restored":
        return this.hearRestored(word.id, word.updated);
      case "cleared": {
        // Perhaps behind what was put there when it was restored.
        const conversation = this.restored.has(word.id) ? this.find(word.id) : null;
        if (conversation) this.keep([conversation]);
        return;
      }
      case "began":
        return this.beginElsewhere(word.id, word.run);
      case "ended":
        return this.endElsewhere(word.id, word.run);
      case "stop":
        return this.state.runs.get(word.id)?.controller.abort();
    }
  }
}
