// What lies over or in place of a text: the keys, and the screens for "nothing here".

import { el } from "./dom.js";
import { LABEL_KEYS } from "./keys.js";

/** The help sheet, closed: every key, as it works on this page. */
export function helpSheet({ strings: s, labels, hasSpans, adjudicate, acceptOnKey, hint }) {
  const last = LABEL_KEYS[Math.min(labels.length, LABEL_KEYS.length) - 1];
  const rows = s.helpRows;
  const labelRow = [labels.length > 1 ? `1 – ${last}` : "1",
    hasSpans ? rows.labelsSpan : acceptOnKey ? rows.labelsAccept : rows.labelsChoice];
  const decide = adjudicate
    ? [["1 – 9", rows.take], ["← →", rows.chooseVersion], ["e", rows.edit], ["a", rows.takeEdited],
      ["x", `${s.nobody}: ${rows.nobody}`], [s.keyNames.space, `${s.later}: ${rows.later}`]]
    : [labelRow, ["a", `${s.accept}: ${hasSpans ? rows.acceptParts : rows.accept}`],
      hasSpans ? [s.keyNames.acceptAll, rows.acceptAll] : null,
      ["x", `${s.reject}: ${rows.reject}`], [s.keyNames.space, `${s.ignore}: ${rows.ignore}`]];
  const marking = hasSpans ? rows.marking : [];
  const all = [...decide, [s.keyNames.backspace, `${s.undo}: ${rows.undo}`],
    adjudicate ? labelRow.with(1, `${s.edit}: ${labelRow[1]}`) : null,
    labels.length > 10 ? ["/", rows.search] : null, ...marking,
    ["f", rows.flag], ["m", rows.comment], adjudicate ? null : ["e", rows.explain], [s.keyNames.restore, rows.restore],
    ["g", rows.guidelines], ["y", rows.history], [s.keyNames.save, rows.save], [s.keyNames.escape, rows.escape],
    ["h", rows.help]].filter(Boolean);
  const close = el("button", { class: "round", type: "button", "aria-label": s.close, title: s.close }, "✕");
  close.addEventListener("click", () => sheet.close());
  const sheet = el("dialog", { class: "sheet wide", "aria-label": s.helpTitle },
    el("header", {}, el("h2", {}, s.helpTitle), close),
    el("p", {}, hint),
    el("dl", {}, ...all.map(([key, means]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, means)))));
  sheet.addEventListener("click", (event) => {
    if (event.composedPath()[0] === sheet) sheet.close();
  });
  return sheet;
}

/** In place of a text: still loading, nothing asked yet, others have the rest, or all done. */
export function allDone({ queue, data, strings: s, state, openHistory, fetchHere }) {
  const { progress } = queue;
  if (progress?.elsewhere && !queue.unsaved.size) {
    const fetch = el("button", { type: "button", class: "plain", onclick: fetchHere }, s.fetchHere);
    return screen("☕", s.elsewhereTitle, s.elsewhere(progress.elsewhere), el("p", { class: "links" }, fetch));
  }
  const may = (role) => ["expert", "reviewer", "developer"].indexOf(data.role ?? "developer") >=
    ["expert", "reviewer", "developer"].indexOf(role);
  const next = (...links) => el("p", { class: "links" }, ...links.filter(Boolean));
  const history = el("button", { type: "button", class: "plain", onclick: openHistory }, s.seeHistory);
  const toProgress = wayTo("progress", s.seeProgress);
  const toStart = may("developer") && wayTo("start", s.seeStart);
  if (!progress) return screen("…", state === "offline" ? s.offline(queue.unsaved.size) : s.loading);
  if (data.mode === "adjudicate") {
    if (progress.disputed > queue.unsaved.size && !queue.unsaved.size) return screen("☕", s.othersTitle, s.others(progress.disputed));
    return screen("✓", s.nothingDisputed, s.nothingDisputedText, s.goesOn, next(toProgress));
  }
  if (!data.texts) {
    const add = may("developer") ? command(data.commands.add, s) : null;
    return screen("+", s.emptyTitle, s.emptyTexts, add, s.goesOn, next(may("reviewer") && wayTo("texts", s.seeTexts)));
  }
  const loop = may("developer") ? command(data.commands.loop, s) : null;
  if (progress.done + progress.open === 0) return screen("+", s.emptyTitle, s.emptyTasks, loop, s.goesOn, next(toStart, toProgress));
  const open = progress.open - queue.unsaved.size;
  if (open > 0 && !queue.unsaved.size) return screen("☕", s.othersTitle, s.others(open), next(history, toProgress));
  const here = queue.decided ? s.allDoneHere(queue.decided) : null;
  return screen("✓", s.allDone, here, loop ? s.allDoneNext : null, loop, s.goesOn, next(toStart, toProgress, history));
}

/** A link to another page of the app, through the app's own menu where it is there: that keeps the session. */
function wayTo(page, words) {
  const link = el("a", { class: "plain", href: new URL(page + location.search, document.baseURI).href }, words);
  link.addEventListener("click", (event) => {
    const own = document.querySelector(`a[data-testid^="stTopNav"][href$="/${page}"], nav a[href$="/${page}"]`);
    if (!own || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    own.click();
  });
  return link;
}

function screen(sign, title, ...lines) {
  return el("div", { class: "screen" },
    el("div", { class: "big", "aria-hidden": "true" }, sign),
    el("h1", {}, title),
    ...lines.filter(Boolean).map((line) => (typeof line === "string" ? el("p", {}, line) : line)));
}

function command(text, s) {
  const button = el("button", { type: "button", class: "plain" }, s.copy);
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(text).catch(() => {});
    button.textContent = s.copied;
  });
  return el("div", { class: "command" }, el("code", {}, text), button);
}
