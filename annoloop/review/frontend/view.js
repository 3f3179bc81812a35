// The page: shows the current text, takes keys and clicks, hands decisions to the queue.

import { wantsHint } from "./desk.js";
import { Keyboard } from "./keyboard.js";
import { layOut } from "./layout.js";
import { baseOf, noticesFor } from "./notices.js";
import { allDone } from "./sheets.js";

export class View {
  constructor(parent, { queue, synchronizer, data, strings }) {
    Object.assign(this, { parent, queue, synchronizer, data, strings });
    this.adjudicate = data.mode === "adjudicate";
    this.editing = !this.adjudicate;
    this.kind = data.scheme.kind;
    this.hasSpans = this.kind === "ner" || this.kind === "spancat";
    this.labels = data.scheme.labels;
    this.active = 0;
    this.shown = undefined;
    this.waiting = false;
    this.onUse = () => synchronizer.used();
    this.#build();
    this.keyboard = new Keyboard(this, (command) => this.#act(command));
    addEventListener("pointerdown", this.onUse, { capture: true, passive: true });
    this.render();
  }

  update(data) {
    this.data = data;
    this.top.update(data);
    this.guidelines.update(data.guidelines, data.project.lang);
    this.render();
  }

  stop() {
    this.keyboard.stop();
    removeEventListener("pointerdown", this.onUse, { capture: true });
    this.desk.stop();
    this.versions?.stop();
    this.page.remove();
  }

  /** Bring the screen up to date; a text that is already shown is not drawn again. */
  render() {
    const { queue } = this;
    if (this.waiting && (queue.history.length || !queue.mayHaveMore)) {
      this.waiting = false;
      if (queue.history.length) {
        this.#undo();
        return;
      }
      this.toast.show(this.strings.nothingToUndo);
    }
    const task = queue.current;
    if (task !== this.shown) this.#show(task);
    else if (!task) this.#showEmpty();
    this.top.render();
  }

  #build() {
    const { data, strings, queue, synchronizer } = this;
    const parts = layOut({ data, strings, queue, synchronizer, on: {
      act: (command) => this.#act(command),
      say: (text) => this.#say(text),
      stateClicked: () => this.#stateClicked(),
      label: (index) => this.#label(index),
      edited: () => this.#edited(),
      active: () => this.labels[this.active],
      choseMark: (label) => this.#choseMark(label),
      searchHistory: (request) => this.#searchHistory(request),
      reopen: (entry) => this.#reopen(entry),
      take: (version) => this.#take(version),
      edit: (version) => this.#edit(version),
    } });
    Object.assign(this, parts);
    this.#renderLabels();
    this.parent.append(this.page);
  }

  #renderLabels() {
    const indices = (names) => names.map((name) => this.labels.indexOf(name));
    if (this.hasSpans) this.bar.update([this.active]);
    else this.bar.update(indices(this.desk.chosen || []), indices(this.shown?.suggestion?.labels || []));
  }

  #renderActions() {
    const { pane, hasParts } = this.desk;
    this.actions.render({ task: this.shown, editing: this.editing, part: hasParts ? [pane.currentPart, pane.parts] : null });
  }

  #show(task) {
    const { queue } = this;
    this.shown = task;
    // Before anything changes: afterwards it would cost a layout of its own.
    if (this.scroll.scrollTop) this.scroll.scrollTop = 0;
    this.empty.hidden = Boolean(task);
    this.desk.root.hidden = !task;
    if (this.versions) this.versions.root.hidden = !task;
    if (!task) {
      this.#renderActions();
      this.#showEmpty();
      return;
    }
    this.since = performance.now();
    const begun = queue.beginning(task);
    if (this.adjudicate) {
      this.versions.show(task);
      this.editing = begun !== task.suggestion && Boolean(queue.drafts.get(task.task_hash) || queue.reopened);
      if (!this.versions.list.length) this.editing = true;
    }
    this.#showOnDesk(task, begun, baseOf(task, queue.reopened, this.strings));
    if (this.desk.pane.partsDone) this.desk.pane.goToPart(this.desk.pane.currentPart);
    this.#say([...this.desk.notices.children].map((node) => node.firstChild.textContent).join(" "));
  }

  #showOnDesk(task, begun, base) {
    const { queue } = this;
    const notices = noticesFor(task, {
      hasSpans: this.hasSpans, strings: this.strings, refusal: queue.refusal(task), adjudicate: this.adjudicate,
      reopened: queue.reopened, leave: () => this.#leave(),
    });
    this.desk.show(task, { begun, base, notices, hint: this.editing && wantsHint(queue.decided) });
    this.#renderEditing();
    this.#renderLabels();
  }

  #renderEditing() {
    this.page.classList.toggle("choosing", !this.editing);
    this.versions?.editing(this.editing);
    this.#renderActions();
  }

  #showEmpty() {
    const { queue, data, strings } = this;
    const state = this.synchronizer.state;
    const openHistory = () => this.#act({ name: "history" });
    const fetchHere = () => {
      queue.fetchHere();
      this.synchronizer.push({ atOnce: true });
    };
    this.empty.replaceChildren(allDone({ queue, data, strings, state, openHistory, fetchHere }));
  }

  #decide(verdict, marks = this.desk.marks) {
    const task = this.shown;
    if (!task || task !== this.queue.current) return;
    if (verdict === "accept" && this.kind === "textcat" && !marks.labels.length) {
      this.toast.show(this.strings.chooseFirst);
      return;
    }
    this.queue.decide(verdict, marks, performance.now() - this.since);
    this.toast.show("");
    this.render();
    this.synchronizer.push();
  }

  /** Accept what is on the screen; of a long text, first its next part. */
  #accept({ all = false } = {}) {
    const { desk, strings: s } = this;
    if (!this.editing) {
      this.toast.show(s.versionsState);
      return;
    }
    if (all || !desk.hasParts) {
      this.#decide("accept");
      return;
    }
    const { pane } = desk;
    const done = pane.currentPart;
    pane.markPartDone(done);
    this.#edited();
    pane.goToPart(pane.currentPart);
    this.#renderActions();
    this.toast.show(s.partDone(done, pane.parts));
  }

  #take(version) {
    if (version) this.#decide(version.verdict, { ...version, comment: this.desk.comment.value.trim(), flagged: this.desk.flagged });
  }

  #edit(version) {
    if (!version || !this.shown) return;
    this.editing = true;
    const { strings: s } = this;
    const { labels, spans } = version;
    const base = { labels, spans, title: s.versionTitle(s.edit, version.annotator), restore: s.restoreAnswer };
    this.#showOnDesk(this.shown, { labels, spans }, base);
    this.desk.root.scrollIntoView({ block: "nearest" });
    this.desk.focus();
    this.#say(s.editState);
  }

  #undo() {
    if (this.queue.reopened) {
      this.#leave();
    } else if (this.queue.undo()) {
      this.shown = undefined;
      this.toast.show(this.strings.undone);
      this.render();
      this.synchronizer.push();
    } else if (this.queue.mayHaveMore) {
      this.waiting = true;
      this.synchronizer.sync();
    } else this.toast.show(this.strings.nothingToUndo);
  }

  #reopen({ task, answer, changed }) {
    this.queue.reopen({ task, answer, changed });
    this.shown = undefined;
    this.render();
    this.desk.focus();
  }

  #leave() {
    if (!this.queue.leave()) return;
    this.shown = undefined;
    this.render();
    this.toast.show(this.strings.left_);
  }

  #later() {
    if (!this.queue.postpone()) this.toast.show(this.strings.onlyOne);
    else this.render();
  }

  #edited() {
    this.queue.keepDraft(this.desk.draft);
    this.synchronizer.pushDraft();
    if (!this.hasSpans) this.#renderLabels();
  }

  #choseMark(label) {
    const index = this.labels.indexOf(label);
    if (index < 0) return;
    this.active = index;
    this.#renderLabels();
  }

  #label(index, { byKey = false } = {}) {
    if (!this.shown) return;
    if (this.hasSpans) {
      this.desk.pane.useLabel(this.labels[index]);
      this.active = index;
      this.#renderLabels();
      this.bar.reveal(index);
      return;
    }
    const exclusive = this.kind === "textcat";
    const goesOn = byKey && exclusive && this.data.accept_on_key && this.editing;
    if (!goesOn || !this.desk.chosen.includes(this.labels[index])) this.desk.choose(index, exclusive);
    this.bar.reveal(index);
    if (goesOn) this.#accept();
  }

  #stateClicked() {
    if (this.queue.refused.size) this.queue.dismissRefused();
    else if (this.synchronizer.state === "stale") location.reload();
    this.synchronizer.push({ atOnce: true });
    this.render();
  }

  async #searchHistory(request) {
    await this.synchronizer.settle();
    const url = new URL(this.data.urls.history, document.baseURI).href;
    const { ok, reply } = await this.synchronizer.ask(url, { ...request, mode: this.queue.mode });
    return ok ? reply : null;
  }

  #say(text) {
    this.live.textContent = text;
  }

  #act({ name, index, step }) {
    const commands = {
      help: () => (this.sheet.open ? this.sheet.close() : this.sheet.showModal()),
      escape: () => this.#escape(),
      accept: () => this.#accept(),
      acceptAll: () => this.#accept({ all: true }),
      reject: () => this.#decide("reject"),
      ignore: () => (this.adjudicate && !this.queue.reopened ? this.#later() : this.#decide("ignore")),
      undo: () => this.#undo(),
      label: () => this.#label(index, { byKey: true }),
      search: () => this.shown && this.bar.search(),
      save: () => this.synchronizer.push({ atOnce: true }),
      characters: () => this.hasSpans && this.shown && this.desk.toggleCharacters(),
      flag: () => this.shown && this.desk.toggleFlag(),
      comment: () => this.shown && this.desk.writeComment(),
      explain: () => (this.editing ? this.desk.base && this.desk.toggleExplained() : this.#edit(this.versions.chosen)),
      restore: () => this.editing && this.desk.restore() && this.toast.show(this.strings.restored),
      guidelines: () => this.guidelines.toggle(),
      history: () => this.history.show(),
      changed: () => this.#showChanged(),
      take: () => this.#take(this.versions.list[index]),
      version: () => this.versions.choose(this.versions.at + step),
    };
    if (this.sheet.open && name !== "help" && name !== "escape") return;
    commands[name]?.();
  }

  #showChanged() {
    this.history.show("changed");
    this.top.seen();
  }

  /** Whether the Escape key has anything to leave. */
  get canEscape() {
    return this.sheet.open || this.guidelines.open || this.queue.reopened || (this.versions?.list.length && this.editing);
  }

  #escape() {
    if (this.sheet.open) this.sheet.close();
    else if (this.queue.reopened) this.#leave();
    else if (this.guidelines.open) this.guidelines.toggle();
    else {
      this.editing = false;
      this.#renderEditing();
    }
  }
}
