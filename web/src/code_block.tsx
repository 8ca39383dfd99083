// SPDX-License-Identifier: MIT
// A block of code with its language and a button that copies it.
import { CopyButton } from "./copy_button";

export function CodeBlock({ text, language }: { text: string; language: string }) {
  const info = language.trim(); // all that stands behind the fence: nothing that was said is lost
  const name = info.split(/\s/, 1)[0] ?? "";
  return (
    <figure class="code">
      <figcaption>
        <span>{info || "text"}</span>
        <CopyButton text={text} what={name ? `${name} code` : "code"} />
      </figcaption>
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}
