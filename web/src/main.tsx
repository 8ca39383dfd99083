// SPDX-License-Identifier: MIT
// Begins: opens what was kept, looks for the server, draws.
import { render } from "preact";
import { App } from "./app";
import { Chat } from "./chat";
import { openShelf } from "./shelf";
import { Store } from "./store";

async function begin(root: HTMLElement): Promise<void> {
  const store = new Store(await openShelf());
  document.documentElement.dataset.theme = store.state.settings.theme;
  render(<App store={store} chat={new Chat(store)} />, root);
  await store.load(location.hash.slice(1));
  await store.findServer();
}

const root = document.getElementById("app");
if (root) void begin(root);
