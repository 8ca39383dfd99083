// SPDX-License-Identifier: MIT
// Where a message is written, sent, and a reply stopped.
import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { Icon, StopIcon } from "./icons";
import { isComposing } from "./keys";

const height_max = 240; // pixels; then it scrolls

interface ComposerProps {
  area: RefObject<HTMLTextAreaElement | null>;
  isRunning: boolean;
  send: (text: string) => Promise<boolean>;
  stop: () => void;
}

export function Composer({ area, isRunning, send, stop }: ComposerProps) {
  const [text, setText] = useState("");
  useLayoutEffect(() => {
    const box = area.current;
    if (!box) return;
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, height_max)}px`;
  }, [text]);
  const submit = (event: Event) => {
    event.preventDefault();
    if (isRunning || text.trim() === "") return;
    void send(text).then((isSaid) => {
      if (!isSaid) setText((since) => [text, since].filter(Boolean).join("\n"));
    });
    setText("");
    area.current?.focus(); // the button that had it goes
  };
  const onStop = () => {
    stop();
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !isComposing(event)) submit(event);
  };
  return (
    <form class="composer" onSubmit={submit}>
      <div class="box">
        <textarea
          id="message"
          ref={area}
          rows={1}
          value={text}
          placeholder="Write a message"
          aria-label="Message"
          aria-describedby="message-keys"
          enterkeyhint="send"
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {/* Two buttons, by their keys: were it one, the click that stops a reply would go on to
            submit what is written. */}
        {isRunning ? (
          <button key="stop" type="button" class="round stop" aria-label="Stop" onClick={onStop}>
            <StopIcon />
          </button>
        ) : (
          <button
            key="send"
            type="submit"
            class="round primary"
            aria-label="Send"
            disabled={text.trim() === ""}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
      <p class="keys" id="message-keys">
        {isRunning ? "Escape stops the reply" : "Enter sends, Shift+Enter begins a line"}
      </p>
    </form>
  );
}
