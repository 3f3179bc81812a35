// Names a browser tab, so that the texts handed to it come back to it, and to no other.

import { randomId } from "./queue.js";

const MOST = 12;

/**
 * A name for this tab. It is held by a lock, which the browser frees when the tab ends, however it ends:
 * a reload, a new tab after a crash or a closed one takes a free name over, with the texts at hand; a
 * second or duplicated tab finds the name held and takes another.
 */
export async function tabName(storage, prefix, locks = globalThis.navigator?.locks) {
  if (!storage || !locks) return randomId();
  const known = names(storage, prefix);
  for (const name of known) if (await hold(locks, prefix + name)) return name;
  const fresh = randomId();
  await hold(locks, prefix + fresh);
  try {
    storage.setItem(`${prefix}tabs`, JSON.stringify([fresh, ...known].slice(0, MOST)));
  } catch {
    // Then the next tab begins with texts of its own.
  }
  return fresh;
}

function names(storage, prefix) {
  try {
    const found = JSON.parse(storage.getItem(`${prefix}tabs`) || "[]");
    return Array.isArray(found) ? found.filter((name) => typeof name === "string") : [];
  } catch {
    return [];
  }
}

/** Whether this tab now holds the lock; it does until it ends. */
function hold(locks, name) {
  return new Promise((resolve) => {
    locks
      .request(name, { ifAvailable: true }, (lock) => {
        resolve(Boolean(lock));
        return lock ? new Promise(() => {}) : undefined;
      })
      .catch(() => resolve(false));
  });
}
