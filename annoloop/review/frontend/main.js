// The component's entry: Streamlit calls the default export on every change of `data`.

import { Queue, randomId } from "./queue.js";
import { stringsFor } from "./strings.js";
import { Synchronizer } from "./sync.js";
import { tabName } from "./tab.js";
import { Detour } from "./transport.js";
import { View } from "./view.js";

// Outside the component, so that a change of page and back loses nothing.
const sessions = new Map();
const views = new WeakMap();

function localStore() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

/** The queue and its way to the server; one for each project, annotator and mode, as long as the page lives. */
function sessionFor(data) {
  // A dot in a name would let one annotator's answers look like another's.
  const annotator = encodeURIComponent(data.annotator).replaceAll(".", "%2E");
  const name = `${data.mode || "label"}.${data.project.id}.${annotator}`;
  if (!sessions.has(name)) {
    const storage = localStore();
    const prefix = `annoloop.${name}.`;
    const queue = new Queue({ storage, prefix, mode: data.mode || "label" });
    const url = new URL(data.urls.sync, document.baseURI).href;
    const detour = new Detour({ newId: randomId });
    const synchronizer = new Synchronizer({ queue, url, token: data.token, detour, onChange: () => {} });
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
    sessions.set(name, { queue, synchronizer, detour });
    tabName(storage, prefix).then((client) => synchronizer.start(client));
  }
  const session = sessions.get(name);
  session.synchronizer.setToken(data.token);
  session.detour.deliver(data.reply);
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

export default function review({ data, parentElement, setStateValue }) {
  const session = sessionFor(data);
  session.detour.setState = setStateValue;
  if (!watcher) {
    watcher = new MutationObserver(closeConnectionDialogs);
    watcher.observe(document.body, { childList: true });
  }
  const known = views.get(parentElement);
  if (known?.session === session && known.shape === shapeOf(data)) {
    known.view.update(data);
    return known.stop;
  }
  known?.stop();
  const strings = stringsFor(data.lang ? [data.lang] : navigator.languages);
  const view = new View(parentElement, { ...session, data, strings });
  const refused = () => session.queue.refused.size;
  let knownRefused = refused();
  session.synchronizer.onChange = () => {
    view.render();
    // The labels may be others by now: the script runs again and sends them.
    if (refused() > knownRefused) setStateValue("refresh", session.queue.lastSeq);
    knownRefused = refused();
  };
  const stop = () => {
    view.stop();
    session.detour.setState = null;
    session.synchronizer.onChange = () => {};
    views.delete(parentElement);
  };
  views.set(parentElement, { view, session, stop, shape: shapeOf(data) });
  return stop;
}

/** What the page is built from: where it changes, the page is built anew. */
const shapeOf = ({ scheme, lang, role, accept_on_key: onKey }) => JSON.stringify([scheme, lang, role, onKey]);
