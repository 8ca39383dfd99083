// SPDX-License-Identifier: MIT
// Settings and the API key, in this browser's localStorage. The key has an entry of its own, so
// that nothing that is exported can have it.
import { fields, text } from "./reply";
import { defaultSettings, type Settings, samplingFields } from "./types";

const settingsEntry = "weir.settings";
const keyEntry = "weir.key";

function readEntry(name: string): string {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return ""; // forbidden by the browser
  }
}

// Returns false where the browser keeps nothing.
function writeEntry(name: string, value: string): boolean {
  try {
    if (value === "") localStorage.removeItem(name);
    else localStorage.setItem(name, value);
    return true;
  } catch {
    return false;
  }
}

function one<T extends string>(value: unknown, choices: readonly T[], otherwise: T): T {
  return choices.find((choice) => choice === value) ?? otherwise;
}

export function loadSettings(): Settings {
  let from: Record<string, unknown> = {};
  try {
    from = fields(JSON.parse(readEntry(settingsEntry) || "{}"));
  } catch {
    // Damaged: as if there were none.
  }
  const settings: Settings = {
    ...defaultSettings,
    system: text(from.system),
    tools: text(from.tools),
    reasoning: one(from.reasoning, ["auto", "on", "off"], "auto"),
    theme: one(from.theme, ["system", "light", "dark"], "system"),
    bill: from.bill !== false,
  };
  for (const { key } of samplingFields) {
    const value = from[key];
    if (typeof value === "number" && Number.isFinite(value)) settings[key] = value;
  }
  return settings;
}

export function saveSettings(settings: Settings): boolean {
  return writeEntry(settingsEntry, JSON.stringify(settings));
}

export function loadKey(): string {
  return readEntry(keyEntry);
}

export function saveKey(key: string): boolean {
  return writeEntry(keyEntry, key);
}

// Of changes in other tabs.
export function listenPreferences(listener: () => void): void {
  addEventListener("storage", ({ key }) => {
    if (key === null || key === settingsEntry || key === keyEntry) listener();
  });
}
