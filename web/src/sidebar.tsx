// SPDX-License-Identifier: MIT
// The list of conversations: opening, renaming, deleting, and their way into files and back.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { exportText, importText } from "./conversation_file";
import { focusBeside } from "./focus";
import { Icon } from "./icons";
import { isComposing } from "./keys";
import { memo } from "./memo";
import type { Store } from "./store";
import type { Conversation } from "./types";

const file_max = 256 << 20; // bytes

function download(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

interface RenamerProps {
  before: string;
  rename: (title: string, byKey: boolean) => void;
}

function Renamer({ before, rename }: RenamerProps) {
  const [title, setTitle] = useState(before);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    field.current?.focus(); // by selection alone, not all browsers move it
    field.current?.select();
  }, []);
  const isDone = useRef(false); // removal of the field blurs it, too
  const finish = (name: string, byKey: boolean) => {
    if (isDone.current) return;
    isDone.current = true;
    rename(name, byKey);
  };
  return (
    <input
      class="renamer"
      aria-label="New name"
      value={title}
      maxLength={200}
      onInput={(event) => setTitle(event.currentTarget.value)}
      onBlur={() => finish(title, false)}
      onKeyDown={(event) => {
        if (isComposing(event)) return;
        if (event.key === "Enter") {
          event.preventDefault(); // else it goes on to the button that gets the focus
          finish(title, true);
        }
        if (event.key === "Escape") {
          event.stopPropagation();
          finish(before, true);
        }
      }}
      ref={field}
    />
  );
}

interface EntryProps {
  id: string;
  title: string;
  isCurrent: boolean;
  isRunning: boolean;
  store: Store;
  close: () => void;
}

// There may be thousands, and each piece of a reply is a change of the list.
const Entry = memo((props: EntryProps) => <EntryView {...props} />);

function EntryView({ id, title, isCurrent, isRunning, store, close }: EntryProps) {
  const [isRenamed, setRenamed] = useState(false);
  const wantsFocus = useRef(false); // the button that renames, when the field goes
  const renamer = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (!isRenamed && wantsFocus.current) renamer.current?.focus();
    wantsFocus.current = false;
  }, [isRenamed]);
  if (isRenamed) {
    const rename = (name: string, byKey: boolean) => {
      wantsFocus.current = byKey;
      setRenamed(false);
      store.rename(id, name);
    };
    return (
      <li class="entry current">
        <Renamer before={title} rename={rename} />
      </li>
    );
  }
  const open = () => {
    store.open(id);
    close();
  };
  const remove = (button: Element) => {
    // The one that is open leaves the focus to the message, which a small screen has behind the list.
    if (isCurrent || !focusBeside(button.closest("li"), ".title")) close();
    store.remove(id);
  };
  return (
    <li class={isCurrent ? "entry current" : "entry"}>
      <button
        type="button"
        class="title"
        aria-current={isCurrent ? "page" : undefined}
        onClick={open}
      >
        {isRunning && <span class="dot pulse" role="img" aria-label="A reply comes:" />}
        {title}
      </button>
      <span class="tools">
        <button
          type="button"
          class="quiet"
          ref={renamer}
          aria-label={`Rename: ${title}`}
          onClick={() => setRenamed(true)}
        >
          <Icon name="edit" />
        </button>
        <button
          type="button"
          class="quiet"
          aria-label={`Delete: ${title}`}
          onClick={(event) => remove(event.currentTarget)}
        >
          <Icon name="trash" />
        </button>
      </span>
    </li>
  );
}

function FileButtons({ canExport, store }: { canExport: boolean; store: Store }) {
  const input = useRef<HTMLInputElement>(null);
  const take = async (file: File | undefined) => {
    if (!file) return;
    try {
      if (file.size > file_max) throw new Error("The file is too large.");
      store.add(importText(await file.text()));
    } catch (error) {
      store.notify((error as Error).message);
    }
    if (input.current) input.current.value = ""; // the same file may be chosen again
  };
  return (
    <div class="row files">
      <button
        type="button"
        disabled={!canExport}
        onClick={() => download("weir-conversations.json", exportText(store.state.conversations))}
      >
        Export
      </button>
      <button type="button" onClick={() => input.current?.click()}>
        Import
      </button>
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        aria-label="File of conversations"
        hidden
        onChange={(event) => void take(event.currentTarget.files?.[0])}
      />
    </div>
  );
}

interface SidebarProps {
  conversations: Conversation[];
  currentId: string | null;
  running: string; // identities, joined: what is drawn depends on nothing else of the runs
  isLoaded: boolean;
  store: Store;
  close: () => void;
}

export const Sidebar = memo((props: SidebarProps) => {
  const { conversations, currentId, running, isLoaded, store, close } = props;
  const runs = running.split(" ");
  return (
    <nav class="side" id="conversations" aria-label="Conversations">
      <button
        type="button"
        class="new"
        onClick={() => {
          store.open(null);
          close();
        }}
      >
        <Icon name="plus" />
        New conversation
      </button>
      <ul aria-busy={!isLoaded}>
        {conversations.map((conversation) => (
          <Entry
            key={conversation.id}
            id={conversation.id}
            title={conversation.title}
            isCurrent={conversation.id === currentId}
            isRunning={runs.includes(conversation.id)}
            store={store}
            close={close}
          />
        ))}
      </ul>
      <FileButtons canExport={isLoaded && conversations.length > 0} store={store} />
    </nav>
  );
});
