// SPDX-License-Identifier: MIT
// Where conversations are kept: in this browser's IndexedDB, one record each.
import { readConversation } from "./conversation_file";
import type { Conversation } from "./types";

export interface Shelf {
  all(): Promise<Conversation[]>;
  get(id: string): Promise<Conversation | null>; // as what was put or removed before has left it
  put(conversations: Conversation[]): Promise<void>; // all of them or none
  remove(id: string): Promise<void>;
}

const table = "conversations";

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

async function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open("weir", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(table, { keyPath: "id" });
  const database = await finished(request);
  // A page of a later version wants to change the tables: this one must not be in its way.
  database.onversionchange = () => database.close();
  return database;
}

// Null where there is none. May take for ever: another tab may keep it from opening.
export async function openShelf(): Promise<Shelf | null> {
  const database = await openDatabase().catch(() => null);
  if (database === null) return null;
  // Async, so that what throws at once is a refusal like what fails later.
  const change = async (apply: (store: IDBObjectStore) => void) => {
    const transaction = database.transaction(table, "readwrite");
    apply(transaction.objectStore(table));
    transaction.commit(); // now, so that a page that is closed at once has kept it
    await committed(transaction);
  };
  return {
    all: async () => {
      const store = database.transaction(table).objectStore(table);
      const records: unknown[] = await finished(store.getAll());
      return records.map(readConversation).filter((conversation) => conversation !== null);
    },
    get: async (id) => {
      const store = database.transaction(table).objectStore(table);
      return readConversation(await finished(store.get(id)));
    },
    put: (conversations) =>
      change((store) => {
        for (const conversation of conversations) store.put(conversation);
      }),
    remove: (id) => change((store) => store.delete(id)),
  };
}
