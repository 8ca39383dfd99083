// SPDX-License-Identifier: MIT
// Calls of tools that a reply makes. Nobody here runs them: the user says what came of each.
import { useState } from "preact/hooks";
import type { Chat } from "./chat";
import { CodeBlock } from "./code_block";
import { focusAround } from "./focus";
import type { AssistantMessage, Call } from "./types";

// Arguments are shown value by value, and as they are where they are no object (yet).
function ArgumentsView({ call }: { call: Call }) {
  let value: unknown = null;
  try {
    value = JSON.parse(call.arguments);
  } catch {
    // Not all there, or the model's mistake.
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return <pre class="plain">{call.arguments}</pre>;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return <p class="note">No arguments.</p>;
  return (
    <dl class="arguments">
      {entries.map(([name, argument]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof argument === "string" ? argument : JSON.stringify(argument, null, 1)}</dd>
        </div>
      ))}
    </dl>
  );
}

interface ResultsProps {
  message: AssistantMessage;
  chat: Chat;
}

function ResultsForm({ message, chat }: ResultsProps) {
  const [results, setResults] = useState<string[]>(() => message.calls.map(() => ""));
  const set = (index: number, text: string) =>
    setResults(results.map((result, other) => (other === index ? text : result)));
  const send = (event: Event) => {
    event.preventDefault();
    const form = event.currentTarget as Element;
    chat.sendResults(message, results, () => focusAround(form));
  };
  return (
    <form class="results" onSubmit={send}>
      {message.calls.map((call, index) => (
        <label key={call.id || index}>
          <span>
            Result of <code>{call.name}</code>
          </span>
          <textarea
            rows={2}
            value={results[index]}
            placeholder="What the call gives, as text or JSON"
            onInput={(event) => set(index, event.currentTarget.value)}
          />
        </label>
      ))}
      <button type="submit" class="primary">
        {message.calls.length === 1 ? "Send the result" : "Send the results"}
      </button>
    </form>
  );
}

export function CallsView(props: ResultsProps & { wantsResults: boolean }) {
  const { message, wantsResults } = props;
  return (
    <div class="calls" role="group" aria-label="Calls of tools">
      {message.calls.map((call, index) => (
        <div class="call" key={call.id || index}>
          <h3>
            <span class="badge">call</span> <code>{call.name}</code>
          </h3>
          <ArgumentsView call={call} />
          <details>
            <summary>As JSON</summary>
            <CodeBlock text={call.arguments} language="json" />
          </details>
        </div>
      ))}
      {wantsResults && <ResultsForm message={message} chat={props.chat} />}
    </div>
  );
}
