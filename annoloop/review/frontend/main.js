// The component's entry: Streamlit calls the default export on every change of `data`.

import { Queue } from "./queue.js";
import { stringsFor } from "./strings.js";
import { Synchronizer } from "./sync.js";
import { tabName } from "./tab.js";
import { View } from "./view.js";

// Outside the component, so that a change of page and back loses nothing.
const sessions = new Map();
const views = new WeakMap();

function localStore() {
  try {
    localStorage.setItem("annoloop.probe", "1");
    localStorage.removeItem("annoloop.probe");
    return localStorage;
  } catch {
    return null;
  }
}

function sessionFor(data) {
  const name = `${data.project.id}.${data.annotator}`;
  if (!sessions.has(name)) {
    const storage = localStore();
    const prefix = `annoloop.${name}.`;
    const queue = new Queue({ storage, prefix });
    const url = new URL(data.url, document.baseURI).href;
    const synchronizer = new Synchronizer({ queue, url, token: data.token, onChange: () => {} });
    addEventListener("pagehide", () => synchronizer.flush());
    addEventListener("online", () => synchronizer.sync());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") synchronizer.flush();
      else synchronizer.push({ atOnce: true });
    });
    addEventListener("beforeunload", (event) => {
      // Only where the browser could not keep the answers itself.
      if (!queue.safe && queue.unsaved.size) event.preventDefault();
    });
    sessions.set(name, { queue, synchronizer });
    tabName(storage, prefix).then((client) => synchronizer.start(client));
  }
  const session = sessions.get(name);
  session.synchronizer.setToken(data.token);
  return session;
}

/**
 * Streamlit's dialog about a lost connection makes the page below it inert. This page says itself that it
 * is offline, and one can go on: the dialog is closed as it comes.
 */
function closeConnectionDialogs() {
  for (const dialog of document.querySelectorAll('[data-testid="stDialog"]')) {
    if (!/^\s*(Dismiss)?\s*Connection error/.test(dialog.textContent)) continue;
    dialog.querySelector('[aria-label="Close"], [aria-label="Dismiss"]')?.click();
  }
}

let watcher = null;

export default function review({ data, parentElement }) {
  const session = sessionFor(data);
  if (!watcher) {
    watcher = new MutationObserver(closeConnectionDialogs);
    watcher.observe(document.body, { childList: true });
  }
  const known = views.get(parentElement);
  if (known && known.session === session) {
    known.view.update(data);
    return known.stop;
  }
  known?.stop();
  const view = new View(parentElement, { ...session, data, strings: stringsFor(navigator.languages) });
  session.synchronizer.onChange = () => view.render();
  const stop = () => {
    view.stop();
    session.synchronizer.onChange = () => {};
    views.delete(parentElement);
  };
  views.set(parentElement, { view, session, stop });
  return stop;
}
