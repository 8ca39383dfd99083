// SPDX-License-Identifier: MIT
// The messages of a conversation, scrolled to where the reply grows unless the reader has gone up.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { formatBytes, formatCount, formatParameters } from "./bill";
import type { Chat } from "./chat";
import { Icon } from "./icons";
import { MessageView } from "./message_view";
import type { ServerFacts } from "./server";
import type { Run } from "./store";
import type { Conversation, Failure, Message } from "./types";

const near_px = 60; // the end is in sight

function Welcome({ server, failure }: { server: ServerFacts | null; failure: Failure | null }) {
  const facts: string[] = [];
  if (server?.parameters) facts.push(`${formatParameters(server.parameters)} parameters`);
  if (server?.bytes) facts.push(formatBytes(server.bytes));
  if (server?.context) facts.push(`${formatCount(server.context)} tokens of context`);
  return (
    <div class="welcome">
      <svg class="waves" viewBox="0 0 120 40" aria-hidden="true" focusable="false">
        <path d="M4 10c14 0 14 8 28 8s14-8 28-8 14 8 28 8 14-8 28-8" />
        <path d="M4 26c14 0 14 8 28 8s14-8 28-8 14 8 28 8 14-8 28-8" />
      </svg>
      {server ? (
        <>
          <h2>{server.model}</h2>
          {/* No figure is parted from its unit. */}
          <p>{facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join("\u00a0\u00b7 ")}</p>
          <p>Conversations are kept in this browser, and go to no other machine than the server.</p>
        </>
      ) : (
        <>
          <h2>
            {failure?.status === 503 ? "The model is being loaded" : "Looking for the server"}
          </h2>
          {failure && <p>{failure.message}</p>}
        </>
      )}
    </div>
  );
}

function Progress({ progress }: { progress: Run["progress"] }) {
  if (!progress || progress.processed >= progress.total) return null;
  const label = `${formatCount(progress.processed)} of ${formatCount(progress.total)} tokens read`;
  return (
    <p class="progress">
      <progress value={progress.processed} max={progress.total} aria-label="The prompt" /> {label}
    </p>
  );
}

// The last message of a role can be said otherwise; results count as the user's.
function lastIndex(messages: Message[], role: Message["role"]): number {
  return messages.findLastIndex((message) => message.role === role);
}

interface ThreadProps {
  conversation: Conversation | null;
  progress: Run["progress"];
  isBusy: boolean; // a reply comes, here or in another tab
  server: ServerFacts | null;
  failure: Failure | null;
  chat: Chat;
  openSettings: (field: "key" | null) => void;
}

export function Thread(props: ThreadProps) {
  const { conversation, progress, isBusy, server, failure, chat, openSettings } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  const messages = conversation?.messages ?? [];
  const toEnd = () => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };
  useLayoutEffect(() => {
    if (isAtEnd) toEnd();
  });
  useEffect(() => {
    setAtEnd(true);
    toEnd();
  }, [conversation?.id, messages.length]);
  const onScroll = () => {
    const box = scroller.current;
    if (box) setAtEnd(box.scrollHeight - box.scrollTop - box.clientHeight < near_px);
  };
  const lastUser = lastIndex(messages, "user");
  return (
    <div class="thread">
      <div
        class="scroller"
        ref={scroller}
        onScroll={onScroll}
        tabIndex={0}
        role="group"
        aria-label="Messages"
      >
        <div class="column">
          {messages.length === 0 && <Welcome server={server} failure={failure} />}
          {messages.map((message, index) => (
            <MessageView
              key={message.id}
              message={message}
              isLast={index === messages.length - 1 || index === lastUser}
              isRunning={isBusy && index === messages.length - 1}
              isBusy={isBusy}
              wantsResults={index === messages.length - 1}
              chat={chat}
              openSettings={openSettings}
            />
          ))}
          <Progress progress={progress} />
        </div>
      </div>
      {!isAtEnd && (
        <button
          type="button"
          class="to-end"
          onClick={() => {
            setAtEnd(true);
            toEnd();
            scroller.current?.focus({ preventScroll: true }); // the button goes
          }}
        >
          <Icon name="down" />
          To the end
        </button>
      )}
    </div>
  );
}
