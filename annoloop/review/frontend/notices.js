// What is said above a text: where its suggestion comes from, or why there is none, and what happened to it before.

import { el } from "./dom.js";

/** Score as a whole percent; what is not quite certain is not called so. */
export const percent = (score) => (score < 1 ? Math.min(99, Math.round(100 * score)) : 100);

/** The notices for a text, as elements. `leave` leaves a reopened one. */
export function noticesFor(task, { hasSpans, strings: s, refusal, reopened, leave, adjudicate }) {
  const line = (kind, ...parts) => el("p", { class: `notice ${kind}`.trim() }, ...parts);
  const lines = [];
  if (refusal) lines.push(line("bad", s.refusedHere(refusal.replace(/[^.!?]$/, "$&."))));
  if (reopened) {
    const back = el("button", { type: "button", class: "plain", onclick: leave }, s.leave, el("kbd", { "aria-hidden": "true" }, "Esc"));
    const by = reopened.changed ? ` ${s.changedBy(reopened.changed.by)}.` : "";
    lines.push(line("blind", s.reopened(s.verdicts[reopened.answer.verdict]) + by, " ", back));
  }
  if (task.again) lines.push(line("blind", s.again));
  if (adjudicate) return lines;
  const why = s.blind[task.split];
  if (why) lines.push(line("blind", why));
  else lines.push(line("", suggested(task.suggestion, hasSpans, s)));
  const unplaced = task.suggestion?.unplaced || [];
  if (unplaced.length) lines.push(line("blind", unplacedWords(unplaced, s)));
  return lines;
}

const LONGEST_QUOTE = 200;

/** What an LLM named but nobody could find, all of it; of a very long quote its beginning. */
function unplacedWords(quotes, s) {
  const shown = quotes.map((quote) => {
    const points = Array.from(quote.replace(/\s+/g, " ").trim());
    return s.quoted(points.length > LONGEST_QUOTE ? `${points.slice(0, LONGEST_QUOTE).join("")}…` : points.join(""));
  });
  return s.unplaced(shown.join(", "));
}

function suggested(suggestion, hasSpans, s) {
  if (!suggestion) return s.noSuggestion;
  const { source, score, spans } = suggestion;
  const words = hasSpans && !spans.length ? s.suggestedNothing(source) : s.suggestedBy(source);
  return `${words} · ${typeof score === "number" ? s.score(percent(score)) : s.noScore}`;
}

/** What the marks on a text are compared with and can be restored to: its earlier answer, else its suggestion. */
export function baseOf(task, reopened, s) {
  if (reopened) {
    return { ...reopened.answer, changed: reopened.changed, title: s.explainAnswer, restore: s.restoreAnswer };
  }
  const { suggestion } = task;
  if (!suggestion) return null;
  return { ...suggestion, reason: suggestion.reason || "", title: s.explainTitle, restore: s.restore };
}
