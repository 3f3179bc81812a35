// Measures any of the compared pages in the same way. It runs before the page's own scripts, and finds the
// text by what it says: every text begins with its number, "17 | ...".
window.probe = (() => {
  const SELECTORS = ["#text", ".text", '[data-testid="stText"]'];
  const GIVE_UP = 8_000;
  const probe = { keys: [], frames: [], node: null };

  const isShown = (node) => node.getClientRects().length > 0;

  function search(root) {
    for (const selector of SELECTORS) {
      for (const node of root.querySelectorAll(selector)) if (isShown(node) && beginning(node)) return node;
    }
    for (const node of root.querySelectorAll("*")) {
      const found = node.shadowRoot && search(node.shadowRoot);
      if (found) return found;
    }
    return null;
  }

  function beginning(node) {
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    let text = "";
    while (text.length < 40 && walker.nextNode()) text += walker.currentNode.data;
    return text.match(/(\d+) *\|/)?.[1] || "";
  }

  /** The element that holds the text on screen, or null. */
  probe.text = () => {
    if (!probe.node?.isConnected || !isShown(probe.node)) probe.node = search(document);
    return probe.node;
  };

  /** The number of the text on screen, or "". */
  probe.read = () => {
    const node = probe.text();
    return node ? beginning(node) : "";
  };

  /** Resolves to the moment after the frame is painted in which `condition` is seen to hold; null: never. */
  probe.painted = (condition, patience = GIVE_UP) =>
    new Promise((resolve) => {
      const end = performance.now() + patience;
      const look = () => {
        if (performance.now() > end) resolve(null);
        else if (!condition()) requestAnimationFrame(look);
        else {
          const channel = new MessageChannel();
          channel.port1.onmessage = () => resolve(performance.now());
          channel.port2.postMessage(null);
        }
      };
      requestAnimationFrame(look);
    });

  /** Until the first text is painted. */
  probe.first = () => probe.painted(() => probe.read() !== "", 60_000);

  // Listened for before the page's scripts run: a page may keep a key to itself.
  let armed = null;
  let noting = false;
  const noted = (event) => {
    if (noting && event.type === "keydown") probe.keys.push([event.key, probe.read()]);
    if (armed?.type !== event.type) return;
    const { before, condition, settle } = armed;
    armed = null;
    // The event's own time: what it waits for behind other work counts.
    const since = Math.min(event.timeStamp, performance.now());
    const was = before();
    probe.painted(() => condition(was)).then((at) => settle(at && at - since));
  };
  for (const type of ["keydown", "pointerup"]) addEventListener(type, noted, { capture: true });

  /** `settled`: milliseconds from the next event of `type` until `condition(what held before it)`, or null. */
  probe.arm = (type, before, condition) => {
    probe.settled = new Promise((settle) => {
      armed = { type, before, condition, settle };
      setTimeout(settle, 2 * GIVE_UP, null);
    });
  };

  /** Milliseconds from the next key until another text is painted. */
  probe.armForText = () =>
    probe.arm("keydown", probe.read, (was) => {
      const now = probe.read();
      return now !== "" && now !== was;
    });

  /** From now on note for each key which text was on screen. */
  probe.noteKeys = () => {
    noting = true;
  };

  /** Milliseconds between frames while `milliseconds` pass. */
  probe.frameTimes = (milliseconds) =>
    new Promise((resolve) => {
      const frames = [];
      let last = performance.now();
      const end = last + milliseconds;
      const step = (now) => {
        frames.push(now - last);
        last = now;
        if (now < end) requestAnimationFrame(step);
        else resolve(frames.slice(1));
      };
      requestAnimationFrame(step);
    });

  return probe;
})();
