// The line above the text: where one is, how far, whether all is saved, and the ways to the sheets.

import { el, icon } from "./dom.js";

const BOOK = "M12 6.5C10 5 6.5 4.5 3 5v13.5c3.5-.5 7 0 9 1.5 2-1.5 5.5-2 9-1.5V5c-3.5-.5-7 0-9 1.5v13.5";
const CLOCK = "M3.5 5v5h5M4 10a8.5 8.5 0 1 1-.4 4M12 7.5V12l3 2";

export class TopBar {
  constructor({ data, strings, queue, synchronizer, act, stateClicked }) {
    Object.assign(this, { strings, queue, synchronizer, stateClicked });
    const s = strings;
    this.where = el("div", { class: "where" });
    this.bar = el("i");
    this.meter = el("div", { class: "meter", role: "progressbar", "aria-valuemin": 0 }, this.bar);
    this.count = el("span", { class: "count" });
    this.mine = el("span", { class: "mine" });
    this.changed = el("button", { class: "news", type: "button", hidden: true });
    this.changed.addEventListener("click", () => act({ name: "changed" }));
    this.state = el("button", { class: "state", type: "button", onclick: () => stateClicked() });
    this.live = el("div", { class: "live", role: "status" });
    const button = (name, key, sign) => el("button", {
      class: "round", type: "button", title: `${s[name]} (${key})`, "aria-label": s[name], "aria-keyshortcuts": key,
      onclick: () => act({ name }),
    }, sign);
    this.root = el("header", { class: "top" },
      this.where,
      el("div", { class: "progress" }, this.meter, el("span", { class: "counts" }, this.count, this.mine)),
      this.changed, this.state,
      el("div", { class: "ways" }, button("guidelines", "g", icon(BOOK)), button("history", "y", icon(CLOCK)), button("help", "h", "?")),
      this.live);
    this.update(data);
  }

  update(data) {
    this.where.replaceChildren(el("strong", {}, data.project.name), el("span", {}, data.annotator));
  }

  render() {
    this.#renderCounts();
    this.#renderChanged();
    this.#renderState();
  }

  /** How many of one's answers were changed since one last looked. */
  get unseen() {
    const changed = this.queue.progress?.changed ?? 0;
    return Math.max(0, changed - (Number(this.queue.shelf.read("changed.seen")) || 0));
  }

  seen() {
    this.queue.shelf.write("changed.seen", String(this.queue.progress?.changed ?? 0));
    this.#renderChanged();
  }

  #renderCounts() {
    const s = this.strings;
    const counts = this.queue.counts();
    this.meter.hidden = !counts?.all;
    set(this.mine, counts?.mine ? s.mine(counts.mine) : "");
    if (counts?.left !== undefined) {
      set(this.count, s.left(counts.left));
      return;
    }
    if (!counts?.all) {
      set(this.count, "");
      return;
    }
    const words = s.progress(counts.done, counts.all);
    set(this.count, counts.inRound ? `${words} ${s.batch}` : words);
    this.bar.style.transform = `scaleX(${counts.done / counts.all})`;
    this.meter.setAttribute("aria-valuenow", counts.done);
    this.meter.setAttribute("aria-valuemax", counts.all);
    this.meter.setAttribute("aria-label", words);
  }

  #renderChanged() {
    const { unseen } = this;
    this.changed.hidden = unseen === 0;
    set(this.changed, unseen ? this.strings.changedChip(unseen) : "");
  }

  #renderState() {
    const s = this.strings;
    const { unsaved, refused, safe } = this.queue;
    const state = refused.size ? "refused" : this.synchronizer.state;
    const texts = {
      saved: () => s.saved,
      unsaved: () => (safe ? s.unsaved : s.unsavedUnsafe)(unsaved.size),
      offline: () => (safe ? s.offline : s.offlineUnsafe)(unsaved.size),
      stale: () => s.stale(unsaved.size),
      failed: () => s.failed(unsaved.size, this.synchronizer.why),
      refused: () => s.refused(refused.size, [...refused.values()][0].reason),
    };
    const words = texts[state]();
    this.state.dataset.state = state;
    set(this.state, words);
    const title = state === "refused" ? s.dismiss : safe ? words : s.unsafe;
    if (this.state.title !== title) this.state.title = title;
    if (state !== this.said && state !== "unsaved") set(this.live, words);
    this.said = state;
  }
}

function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
