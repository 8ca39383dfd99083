// SPDX-License-Identifier: MIT
// The page: where its parts stand, and keys that work everywhere.
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { BillPanel } from "./bill_panel";
import type { Chat } from "./chat";
import { Composer } from "./composer";
import { Icon } from "./icons";
import { isComposing } from "./keys";
import { SettingsDialog } from "./settings_dialog";
import { Sidebar } from "./sidebar";
import type { Notice, Run, State, Store } from "./store";
import { Thread } from "./thread";
import type { Timings } from "./types";

interface NoticeProps {
  notice: Notice | null;
  dismiss: () => void;
}

function NoticeBar({ notice, dismiss }: NoticeProps) {
  return (
    <div class="notices" role="status">
      {notice && (
        <div class="notice">
          <span>{notice.text}</span>
          {notice.undo && (
            <button type="button" onClick={notice.undo}>
              Undo
            </button>
          )}
          <button type="button" class="quiet" aria-label="Dismiss" onClick={dismiss}>
            <Icon name="close" />
          </button>
        </div>
      )}
    </div>
  );
}

function lastTimings(store: Store): Timings | null {
  const messages = store.current?.messages ?? [];
  const last = messages.findLast((message) => message.role === "assistant" && message.timings);
  return last?.role === "assistant" ? last.timings : null;
}

interface HeaderProps {
  state: State;
  title: string;
  isSideOpen: boolean;
  toggleSide: () => void;
  openSettings: () => void;
}

function Header({ state, title, isSideOpen, toggleSide, openSettings }: HeaderProps) {
  const isThere = state.server !== null && state.serverFailure === null;
  return (
    <header class="top">
      <button
        type="button"
        class="quiet menu"
        aria-label="Conversations"
        aria-expanded={isSideOpen}
        aria-controls="conversations"
        onClick={toggleSide}
      >
        <Icon name="menu" />
      </button>
      <h1>{title}</h1>
      <span class="model">
        <span class={isThere ? "dot" : "dot away"} aria-hidden="true" />
        <span class="name">{state.server?.model ?? "no server"}</span>
        <span class="unseen">{isThere ? "(ready)" : "(away)"}</span>
      </span>
      <button type="button" class="quiet" aria-label="Settings" onClick={openSettings}>
        <Icon name="settings" />
      </button>
    </header>
  );
}

const wide = matchMedia("(min-width: 70rem)");

// Whether the bill stands beside the conversation, and not below it.
function useWide(): boolean {
  const [isWide, setWide] = useState(wide.matches);
  useEffect(() => {
    const onChange = () => setWide(wide.matches);
    wide.addEventListener("change", onChange);
    return () => wide.removeEventListener("change", onChange);
  }, []);
  return isWide;
}

// Of the reply that comes, and then of it as long as its conversation is open.
function useRates(state: State): number[] {
  const kept = useRef<{ id: string | null; run: Run | null }>({ id: null, run: null });
  const run = state.runs.get(state.currentId ?? "");
  if (run) kept.current = { id: state.currentId, run };
  return kept.current.id === state.currentId ? (kept.current.run?.rates ?? []) : [];
}

export function App({ store, chat }: { store: Store; chat: Chat }) {
  const [, draw] = useReducer((count: number) => count + 1, 0);
  const [isSideOpen, setSideOpen] = useState(false);
  const [settings, setSettings] = useState<{ focus: "key" | null } | null>(null);
  const [isBillOpen, setBillOpen] = useState(false); // where it is not beside the conversation
  const area = useRef<HTMLTextAreaElement>(null);
  const isWide = useWide();
  const { state } = store;
  const rates = useRates(state);
  const { current } = store;
  const run = state.runs.get(state.currentId ?? "") ?? null;
  // Stable: what is drawn of a message does not depend on it.
  const openSettings = useRef((focus: "key" | null) => setSettings({ focus })).current;
  const closeSide = useRef(() => {
    setSideOpen(false);
    area.current?.focus();
  }).current;

  useEffect(() => store.listen(() => draw(0)), []);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || isComposing(event)) return;
      if (document.querySelector("dialog[open]")) return;
      if (isSideOpen) closeSide();
      else chat.stop(store.state.currentId);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [isSideOpen]);
  // The focus moves before the next key is pressed, thus not by an effect behind the painting.
  useLayoutEffect(() => {
    if (isSideOpen) document.querySelector<HTMLElement>(".side button")?.focus();
  }, [isSideOpen]);
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = state.settings.theme;
  }, [state.settings.theme]);
  useEffect(() => {
    if (!state.isLoaded) return; // the address names what is to be opened
    document.title = current ? `${current.title} \u2013 weir` : "weir";
    history.replaceState(
      null,
      "",
      current ? `#${current.id}` : location.pathname + location.search,
    );
  }, [current?.id, current?.title, state.isLoaded]);
  useLayoutEffect(() => area.current?.focus(), [state.currentId]);

  return (
    <div class={isSideOpen ? "page with-side" : "page"}>
      <button type="button" class="skip" onClick={() => area.current?.focus()}>
        To the message
      </button>
      <Sidebar
        conversations={state.conversations}
        currentId={state.currentId}
        running={[...state.runs.keys(), ...state.elsewhere.keys()].join(" ")}
        isLoaded={state.isLoaded}
        store={store}
        close={closeSide}
      />
      {isSideOpen && <div class="shade" aria-hidden="true" onClick={closeSide} />}
      <Header
        state={state}
        title={current?.title ?? "weir"}
        isSideOpen={isSideOpen}
        toggleSide={() => setSideOpen(!isSideOpen)}
        openSettings={() => openSettings(null)}
      />
      <main>
        <Thread
          conversation={current}
          progress={run?.progress ?? null}
          isBusy={store.isBusy(state.currentId)}
          server={state.server}
          failure={state.serverFailure}
          chat={chat}
          openSettings={openSettings}
        />
        <NoticeBar
          notice={state.notice}
          dismiss={() => {
            store.change({ notice: null });
            area.current?.focus();
          }}
        />
        <Composer
          area={area}
          isRunning={store.isClaimed(state.currentId)}
          send={(text) => chat.send(text)}
          stop={() => chat.stop(state.currentId)}
        />
      </main>
      <BillPanel
        timings={lastTimings(store)}
        rates={rates}
        context={state.server?.context ?? null}
        isOpen={isWide ? state.settings.bill : isBillOpen}
        toggle={(bill) => {
          if (!isWide) setBillOpen(bill);
          else if (bill !== state.settings.bill) store.setSettings({ bill });
        }}
      />
      <div class="unseen" role="status">
        {state.announcement}
      </div>
      {settings && (
        <SettingsDialog
          store={store}
          settings={state.settings}
          apiKey={state.key}
          server={state.server}
          focus={settings.focus}
          close={() => setSettings(null)}
        />
      )}
    </div>
  );
}
