// SPDX-License-Identifier: MIT
// The settings. They are kept as they are changed; what is left empty, the server decides.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { readTools } from "./request";
import type { ServerFacts } from "./server";
import type { Store } from "./store";
import type { SamplingField, Settings } from "./types";
import { samplingFields } from "./types";

interface NumberFieldProps {
  field: SamplingField;
  value: number | null;
  otherwise: number | undefined;
  set: (value: number | null) => void;
}

function NumberField({ field, value, otherwise, set }: NumberFieldProps) {
  const [text, setText] = useState(value === null ? "" : String(value));
  const change = (typed: string, isValid: boolean) => {
    setText(typed);
    if (typed === "") set(null);
    else if (isValid) set(Number(typed));
  };
  return (
    <label class="field">
      <span>{field.label}</span>
      <input
        type="number"
        inputMode={field.step < 1 ? "decimal" : "numeric"}
        min={field.min}
        max={field.max}
        step={field.step < 1 ? "any" : field.step}
        value={text}
        placeholder={otherwise === undefined ? "" : String(otherwise)}
        onInput={({ currentTarget: box }) =>
          // A text that is no number reads as "": that is not the same as nothing typed.
          change(box.value, box.validity.valid && !box.validity.badInput)
        }
      />
      <small>{field.help}</small>
    </label>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  name: string;
  value: T;
  choices: readonly (readonly [T, string])[];
  set: (value: T) => void;
}

function Choice<T extends string>({ label, name, value, choices, set }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      {choices.map(([choice, text]) => (
        <label key={choice}>
          <input type="radio" name={name} checked={choice === value} onChange={() => set(choice)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}

const toolsExample = `[{"type": "function", "function": {
  "name": "weather",
  "description": "The weather of a place",
  "parameters": {"type": "object",
    "properties": {"place": {"type": "string"}}}}}]`;

function ToolsField({ value, set }: { value: string; set: (text: string) => void }) {
  const read = readTools(value);
  const fault = "error" in read ? read.error : "";
  return (
    <label class="field wide">
      <span>Tools</span>
      <textarea
        rows={5}
        spellcheck={false}
        class="code"
        value={value}
        placeholder={toolsExample}
        aria-invalid={fault !== ""}
        aria-describedby="tools-fault"
        onInput={(event) => set(event.currentTarget.value)}
      />
      <small id="tools-fault" class={fault ? "fault" : ""}>
        {fault || "A list as in the API. The model may call them; you say what came of it."}
      </small>
    </label>
  );
}

interface DialogProps {
  store: Store;
  settings: Settings;
  apiKey: string;
  server: ServerFacts | null;
  focus: "key" | null;
  close: () => void;
}

export function SettingsDialog({ store, settings, apiKey, server, focus, close }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const keyField = useRef<HTMLInputElement>(null);
  const [key, setKey] = useState(apiKey);
  useLayoutEffect(() => {
    dialog.current?.showModal();
    if (focus === "key") keyField.current?.focus();
  }, []);
  const set = (patch: Partial<Settings>) => store.setSettings(patch);
  const onClose = () => {
    if (key.trim() !== apiKey) store.setKey(key.trim());
    close();
  };
  const onClick = (event: MouseEvent) => {
    if (event.target === dialog.current) dialog.current?.close(); // beside the form
  };
  return (
    <dialog
      class="settings"
      ref={dialog}
      aria-labelledby="settings-title"
      onClose={onClose}
      onClick={onClick}
    >
      <form method="dialog">
        <header>
          <h2 id="settings-title">Settings</h2>
          <button type="submit" class="quiet" aria-label="Close the settings">
            <Icon name="close" />
          </button>
        </header>
        <div class="fields">
          <label class="field wide">
            <span>System prompt</span>
            <textarea
              rows={3}
              value={settings.system}
              onInput={(event) => set({ system: event.currentTarget.value })}
            />
          </label>
          <Choice
            label="Reasoning"
            name="reasoning"
            value={settings.reasoning}
            choices={[
              ["auto", "As the model does"],
              ["on", "On"],
              ["off", "Off"],
            ]}
            set={(reasoning) => set({ reasoning })}
          />
          {samplingFields.map((field) => (
            <NumberField
              key={field.key}
              field={field}
              value={settings[field.key]}
              otherwise={server?.defaults[field.key]}
              set={(value) => set({ [field.key]: value })}
            />
          ))}
          <ToolsField value={settings.tools} set={(tools) => set({ tools })} />
          <Choice
            label="Colours"
            name="theme"
            value={settings.theme}
            choices={[
              ["system", "As the system"],
              ["light", "Light"],
              ["dark", "Dark"],
            ]}
            set={(theme) => set({ theme })}
          />
          <label class="field wide">
            <span>API key</span>
            <input
              ref={keyField}
              type="password"
              autocomplete="off"
              value={key}
              onInput={(event) => setKey(event.currentTarget.value)}
            />
            <small>Kept in this browser alone, and sent to this server alone.</small>
          </label>
        </div>
      </form>
    </dialog>
  );
}
