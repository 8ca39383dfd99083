// SPDX-License-Identifier: MIT
// Begins: draws, opens what was kept, looks for the server.
import { render } from "preact";
import { App } from "./app";
import { Chat } from "./chat";
import { listenPreferences } from "./preferences";
import { openShelf } from "./shelf";
import { Store } from "./store";
import { openTabs } from "./tabs";

function begin(root: HTMLElement): void {
  const store = new Store(openTabs());
  render(<App store={store} chat={new Chat(store)} />, root);
  listenPreferences(() => store.readPreferences());
  addEventListener("pagehide", () => store.leave());
  // A page that was put aside has heard nothing meanwhile.
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  void store.load(openShelf(), location.hash.slice(1));
  void store.findServer();
}

const root = document.getElementById("app");
if (root) begin(root);
