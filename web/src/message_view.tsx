// SPDX-License-Identifier: MIT
// One message: what was said, reasoning folded, calls, what went wrong, what can be done with it.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { billOf, formatCount, formatNumber, formatSeconds } from "./bill";
import { CallsView } from "./calls_view";
import type { Chat } from "./chat";
import { CopyButton } from "./copy_button";
import { focusAround } from "./focus";
import { Icon } from "./icons";
import { isComposing } from "./keys";
import { Markdown } from "./markdown";
import { memo } from "./memo";
import type { AssistantMessage, Failure, Message, ToolMessage, UserMessage } from "./types";

interface MessageProps {
  message: Message;
  isLast: boolean; // of its role, so that it can be said otherwise
  isRunning: boolean; // the message is a reply that comes
  isBusy: boolean; // a reply of the conversation comes
  wantsResults: boolean; // the calls have no results yet
  chat: Chat;
  openSettings: (field: "key" | null) => void;
}

interface EditorProps {
  message: UserMessage;
  isBusy: boolean;
  chat: Chat;
  close: () => void;
}

function Editor({ message, isBusy, chat, close }: EditorProps) {
  const [text, setText] = useState(message.content);
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => area.current?.focus(), []);
  const leave = () => {
    if (area.current) focusAround(area.current);
    close();
  };
  const save = (event: Event) => {
    event.preventDefault();
    if (isBusy || text.trim() === "") return;
    chat.edit(message.id, text, leave);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (isComposing(event)) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      leave();
    }
    if (event.key === "Enter" && !event.shiftKey) save(event);
  };
  return (
    <form class="editor" onSubmit={save}>
      <textarea
        aria-label="Your message, changed"
        value={text}
        rows={Math.min(12, text.split("\n").length + 1)}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        ref={area}
      />
      <div class="row">
        <button type="submit" class="primary" disabled={isBusy}>
          Send
        </button>
        <button type="button" onClick={leave}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function UserView({ message, isLast, isBusy, chat }: MessageProps & { message: UserMessage }) {
  const [isEdited, setEdited] = useState(false);
  if (isEdited) {
    const close = () => setEdited(false);
    return <Editor message={message} isBusy={isBusy} chat={chat} close={close} />;
  }
  return (
    <>
      <div class="said">{message.content}</div>
      <div class="actions">
        {isLast && !isBusy && (
          <button type="button" class="quiet" onClick={() => setEdited(true)}>
            <Icon name="edit" />
            Edit
          </button>
        )}
        <CopyButton text={message.content} what="your message" />
      </div>
    </>
  );
}

function ReasoningView({ message, isRunning }: { message: AssistantMessage; isRunning: boolean }) {
  if (message.reasoning === "") return null;
  const isOpenEnded = isRunning && message.content === "" && message.calls.length === 0;
  return (
    <details class="reasoning">
      <summary class={isOpenEnded ? "pulse" : undefined}>
        {isOpenEnded ? "Reasoning\u2026" : `Reasoned for ${formatSeconds(message.reasoningMs)}`}
      </summary>
      <div class="thought">{message.reasoning.trim()}</div>
    </details>
  );
}

interface FailureProps {
  failure: Failure;
  retry: ((event: MouseEvent) => void) | null;
  openSettings: MessageProps["openSettings"];
}

function FailureView({ failure, retry, openSettings }: FailureProps) {
  return (
    <div class="failure">
      <p>{failure.message}</p>
      {failure.retryAfter !== null && (
        <p>The server asks to wait {formatCount(failure.retryAfter)} seconds.</p>
      )}
      <div class="row">
        {retry && (
          <button type="button" onClick={retry}>
            <Icon name="again" />
            Try again
          </button>
        )}
        {failure.status === 401 && (
          <button type="button" class="primary" onClick={() => openSettings("key")}>
            Enter the key
          </button>
        )}
      </div>
    </div>
  );
}

// The line under a reply: what it cost.
function Cost({ message }: { message: AssistantMessage }) {
  if (!message.timings) return null;
  const bill = billOf(message.timings);
  const parts = [`${formatCount(bill.tokens)} tokens`];
  if (bill.rate !== null) parts.push(`${formatNumber(bill.rate)} tokens/s`);
  return <span class="cost">{parts.join(" \u00b7 ")}</span>;
}

const endings = {
  stop: null,
  tool_calls: null,
  length: "The reply was cut: it has as many tokens as it may, or the context is full.",
  stopped: "Stopped.",
} as const;

function AssistantView(props: MessageProps & { message: AssistantMessage }) {
  const { message, isLast, isRunning, isBusy, chat, openSettings } = props;
  const isEmpty = message.content === "" && message.reasoning === "" && message.calls.length === 0;
  const hasEnded = !isRunning && message.finish !== null && !message.failure;
  const ending = hasEnded && message.finish ? endings[message.finish] : null;
  const mayRetry = isLast && !isBusy;
  const again = (event: MouseEvent) => {
    const button = event.currentTarget as Element;
    chat.again(() => focusAround(button));
  };
  return (
    <>
      <ReasoningView message={message} isRunning={isRunning} />
      <Markdown text={message.content} isGrowing={isRunning} />
      {isRunning && isEmpty && <p class="waiting pulse">Reading the prompt{"\u2026"}</p>}
      {message.calls.length > 0 && (
        <CallsView message={message} chat={chat} wantsResults={props.wantsResults && !isBusy} />
      )}
      {ending && <p class="ending">{ending}</p>}
      {message.failure && (
        <FailureView
          failure={message.failure}
          retry={mayRetry ? again : null}
          openSettings={openSettings}
        />
      )}
      {!isRunning && (
        <div class="actions">
          {message.content !== "" && <CopyButton text={message.content} what="the reply" />}
          {mayRetry && !message.failure && (
            <button type="button" class="quiet" onClick={again}>
              <Icon name="again" />
              Another reply
            </button>
          )}
          <Cost message={message} />
        </div>
      )}
    </>
  );
}

function ToolView({ message }: { message: ToolMessage }) {
  return (
    <details class="result">
      <summary>
        Result of <code>{message.name}</code>
      </summary>
      <pre>{message.content}</pre>
    </details>
  );
}

const names = { user: "You", assistant: "Model", tool: "Result" } as const;

function inner(props: MessageProps) {
  const { message } = props;
  switch (message.role) {
    case "user":
      return <UserView {...props} message={message} />;
    case "assistant":
      return <AssistantView {...props} message={message} />;
    case "tool":
      return <ToolView message={message} />;
  }
}

export const MessageView = memo((props: MessageProps) => (
  <article class={`message ${props.message.role}`} aria-busy={props.isRunning}>
    <h2 class="speaker">{names[props.message.role]}</h2>
    {inner(props)}
  </article>
));
