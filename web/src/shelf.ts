// SPDX-License-Identifier: MIT
// Where conversations are kept: in this browser's IndexedDB, one record each. What is to be done
// before that is open is done then. Where there is none, as in some private windows, nothing is kept.
import { readConversation } from "./conversation_file";
import type { Conversation } from "./types";

export interface Shelf {
  isLasting: Promise<boolean>;
  all(): Promise<Conversation[]>;
  put(conversations: Conversation[]): Promise<void>; // all of them or none
  remove(id: string): Promise<void>;
}

const table = "conversations";
const open_ms = 4000;

function finished<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// A write that the transaction's end refuses, for want of room, is an error of the write.
function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

// Null where there is none, or none that answers in time: another tab may keep it from opening.
async function openDatabase(): Promise<IDBDatabase | null> {
  const request = indexedDB.open("weir", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(table, { keyPath: "id" });
  const opened = finished(request);
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), open_ms));
  const database = await Promise.race([opened, late]);
  if (database === null) void opened.then((it) => it.close()).catch(() => {});
  // A page of a later version wants to change the tables: this one must not be in its way.
  else database.onversionchange = () => database.close();
  return database;
}

export function openShelf(): Shelf {
  const opened = openDatabase().catch(() => null);
  const change = async (apply: (store: IDBObjectStore) => void) => {
    const database = await opened;
    if (database === null) return;
    const transaction = database.transaction(table, "readwrite");
    apply(transaction.objectStore(table));
    transaction.commit(); // now, so that a page that is closed at once has kept it
    await committed(transaction);
  };
  return {
    isLasting: opened.then((database) => database !== null),
    all: async () => {
      const database = await opened;
      if (database === null) return [];
      const store = database.transaction(table).objectStore(table);
      const records: unknown[] = await finished(store.getAll());
      return records.map(readConversation).filter((conversation) => conversation !== null);
    },
    put: (conversations) =>
      change((store) => {
        for (const conversation of conversations) store.put(conversation);
      }),
    remove: (id) => change((store) => store.delete(id)),
  };
}
