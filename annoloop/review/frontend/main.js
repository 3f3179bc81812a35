// The component's entry: Streamlit calls the default export on every change of `data`.

import { Queue, randomId } from "./queue.js";
import { stringsFor } from "./strings.js";
import { Synchronizer } from "./sync.js";
import { View } from "./view.js";

// Outside the component, so that a change of page and back loses nothing.
const sessions = new Map();
const views = new WeakMap();

const CLIENT = "annoloop.client";

/**
 * A name for this tab that a reload keeps and a duplicated tab does not: while the page lives, the name
 * is not in sessionStorage, which is what a duplicate copies.
 */
function tabName() {
  try {
    const name = sessionStorage.getItem(CLIENT) || randomId();
    sessionStorage.removeItem(CLIENT);
    addEventListener("pagehide", () => sessionStorage.setItem(CLIENT, name));
    addEventListener("pageshow", () => sessionStorage.removeItem(CLIENT));
    return name;
  } catch {
    return randomId();
  }
}

function localStore() {
  try {
    localStorage.setItem("annoloop.probe", "1");
    localStorage.removeItem("annoloop.probe");
    return localStorage;
  } catch {
    return null;
  }
}

let client = null;

function sessionFor(data) {
  const name = `${data.project.id}.${data.annotator}`;
  if (!sessions.has(name)) {
    client ||= tabName();
    const queue = new Queue({ storage: localStore(), prefix: `annoloop.${name}.` });
    const url = new URL(data.url, document.baseURI).href;
    const synchronizer = new Synchronizer({ queue, client, url, token: data.token, onChange: () => {} });
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
    synchronizer.sync();
  }
  const session = sessions.get(name);
  session.synchronizer.setToken(data.token);
  return session;
}

export default function review({ data, parentElement }) {
  const session = sessionFor(data);
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
