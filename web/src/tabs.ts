// SPDX-License-Identifier: MIT
// What tabs with this page tell each other, since they share what is kept: which conversations have
// changed, and where a reply comes. Knows neither screen nor server.
import type { Conversation } from "./types";

export type Word =
  | { kind: "came" } // this tab; it wants to hear what has begun
  | { kind: "kept"; conversations: Conversation[] }
  | { kind: "removed"; id: string }
  | { kind: "restored"; id: string; updated: number } // it was removed, and is kept again, as of then
  | { kind: "cleared"; id: string } // the answer to that: this tab has nothing more to remove
  | { kind: "began"; id: string; run: string } // a reply, in the tab that says so
  | { kind: "ended"; id: string; run: string }
  | { kind: "stop"; id: string }; // to the tab where the reply comes

export interface Tabs {
  say(word: Word): void;
  listen(hear: (word: Word) => void): void;
}

// Says which form words have: pages of another form do not hear them.
const channelName = "weir.tabs/3";

export function openTabs(): Tabs {
  try {
    const channel = new BroadcastChannel(channelName);
    return {
      say: (word) => channel.postMessage(word),
      listen: (hear) => {
        channel.onmessage = (event: MessageEvent<Word>) => hear(event.data);
      },
    };
  } catch {
    return { say: () => {}, listen: () => {} }; // forbidden by the browser, which keeps nothing then
  }
}
