// What lies over or in place of a text: the keys, and the screens for "nothing here".

import { LABEL_KEYS } from "./core.js";
import { el } from "./dom.js";

/** The help sheet, closed. */
export function helpSheet({ strings: s, labels, hasSpans }) {
  const last = LABEL_KEYS[Math.min(labels.length, LABEL_KEYS.length) - 1];
  const keys = labels.length > 1 ? `1 – ${last}` : "1";
  const rows = [
    [keys, hasSpans ? s.helpRows.labelsSpan : s.helpRows.labelsChoice],
    ["a", `${s.accept}: ${s.helpRows.accept}`],
    ["x", `${s.reject}: ${s.helpRows.reject}`],
    [s.keyNames.space, `${s.ignore}: ${s.helpRows.ignore}`],
    [s.keyNames.backspace, `${s.undo}: ${s.helpRows.undo}`],
    [s.keyNames.save, s.helpRows.save],
    ["h", s.helpRows.help],
  ];
  const sheet = el("dialog", { class: "sheet", "aria-label": s.helpTitle },
    el("h2", {}, s.helpTitle),
    el("dl", {}, ...rows.flatMap(([key, means]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, means)])),
    el("p", {}, hasSpans ? s.hintSpans : s.hintChoices),
    el("button", { type: "button", class: "plain", onclick: () => sheet.close() }, s.close));
  sheet.addEventListener("click", (event) => {
    if (event.composedPath()[0] === sheet) sheet.close();
  });
  return sheet;
}

/** In place of a text: still loading, nothing asked yet, others have the rest, or all done. */
export function allDone({ queue, data, strings: s, state }) {
  const { progress } = queue;
  if (!progress) return screen("…", state === "saved" ? s.loading : s.offline(queue.unsaved.size));
  if (!data.texts) return screen("+", s.emptyTitle, s.emptyTexts, command(data.commands.add, s), s.goesOn);
  if (progress.done + progress.open === 0) {
    return screen("+", s.emptyTitle, s.emptyTasks, command(data.commands.loop, s), s.goesOn);
  }
  const open = progress.open - queue.unsaved.size;
  if (open > 0 && !queue.unsaved.size) return screen("☕", s.othersTitle, s.others(open));
  const here = queue.decided ? s.allDoneHere(queue.decided) : null;
  return screen("✓", s.allDone, here, s.allDoneNext, command(data.commands.loop, s), s.goesOn);
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
