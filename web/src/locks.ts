// SPDX-License-Identifier: MIT
// What one tab alone may do at a time, of all that have this page. Over plain HTTP browsers have
// locks for localhost alone: without them each tab gets what it asks for. Knows not what is guarded.

export type Release = () => Promise<void>; // until others can have it

const locks: LockManager | undefined = navigator.locks;
export const hasLocks = locks !== undefined;

// Null where another tab has the lock. One that is gone has none.
export async function takeLock(name: string): Promise<Release | null> {
  if (!locks) return async () => {};
  return new Promise((resolve) => {
    const hold = (lock: Lock | null) =>
      lock === null
        ? resolve(null)
        : new Promise<void>((letGo) => {
            resolve(() => {
              letGo();
              return isFree;
            });
          });
    const isFree = locks.request(name, { ifAvailable: true }, hold).catch(() => {
      resolve(async () => {}); // forbidden by the browser
    });
  });
}

// Until the tab that has the lock lets it go; for ever where nobody can tell.
export async function whenFree(name: string): Promise<void> {
  const never = new Promise<void>(() => {});
  return locks?.request(name, { mode: "shared" }, () => {}).catch(() => never) ?? never;
}
