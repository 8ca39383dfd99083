// SPDX-License-Identifier: MIT
// A button that copies a text and says so for a moment.
import { useEffect, useState } from "preact/hooks";
import { copyText } from "./clipboard";
import { Icon } from "./icons";

type Copied = "not" | "yes" | "failed";

const words: Readonly<Record<Copied, string>> = {
  not: "Copy",
  yes: "Copied",
  failed: "Not copied",
};

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [copied, setCopied] = useState<Copied>("not");
  useEffect(() => {
    if (copied === "not") return;
    const timer = setTimeout(() => setCopied("not"), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async (button: HTMLElement) =>
    setCopied((await copyText(text, button)) ? "yes" : "failed");
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`${words[copied]}: ${what}`}
      onClick={(event) => void copy(event.currentTarget)}
    >
      <Icon name={copied === "yes" ? "check" : "copy"} />
      <span aria-hidden="true">{words[copied]}</span>
    </button>
  );
}
