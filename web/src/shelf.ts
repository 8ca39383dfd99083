// SPDX-License-Identifier: MIT
// Where conversations are kept: in this browser's IndexedDB, one record each. Where there is none,
// as in some private windows, in memory.
import { readConversation } from "./conversation_file";
import type { Conversation } from "./types";

export interface Shelf {
  isLasting: boolean;
  all(): Promise<Conversation[]>;
  put(conversation: Conversation): Promise<void>;
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

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open("weir", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(table, { keyPath: "id" });
  return finished(request);
}

function shelfOf(database: IDBDatabase): Shelf {
  // Async, so that what throws at once is a refusal like what fails later.
  const change = async (apply: (store: IDBObjectStore) => void) => {
    const transaction = database.transaction(table, "readwrite");
    apply(transaction.objectStore(table));
    await committed(transaction);
  };
  return {
    isLasting: true,
    all: async () => {
      const store = database.transaction(table).objectStore(table);
      const records: unknown[] = await finished(store.getAll());
      return records.map(readConversation).filter((conversation) => conversation !== null);
    },
    put: (conversation) => change((store) => store.put(conversation)),
    remove: (id) => change((store) => store.delete(id)),
  };
}

export async function openShelf(): Promise<Shelf> {
  try {
    return shelfOf(await openDatabase());
  } catch {
    return {
      isLasting: false,
      all: async () => [],
      put: async () => {},
      remove: async () => {},
    };
  }
}
