// node --test tests/frontend: drafts, reopened and refused answers, differences, the way round a proxy
import assert from "node:assert/strict";
import test from "node:test";
import { difference, disputed, wordsOf } from "../../annoloop/review/frontend/difference.js";
import { safeAddress } from "../../annoloop/review/frontend/guidelines.js";
import { percent } from "../../annoloop/review/frontend/notices.js";
import { Queue } from "../../annoloop/review/frontend/queue.js";
import { Synchronizer } from "../../annoloop/review/frontend/sync.js";
import { Detour } from "../../annoloop/review/frontend/transport.js";
import { reply, Storage, task } from "./fakes.js";

const marks = (more = {}) => ({ labels: [], spans: [], comment: "", flagged: false, ...more });

function queueWith(names, { storage = new Storage(), clock = () => 1000, mode } = {}) {
  const queue = new Queue({ storage, prefix: "p.", clock, mode });
  queue.receive(reply({ tasks: names.map((name) => task(name)), history: [] }), { before: null });
  return queue;
}

test("a draft is kept at once, sent once, and outlives a reload until the server has it", () => {
  const storage = new Storage();
  const queue = queueWith(["a"], { storage });
  queue.keepDraft(marks({ comment: "hm", part: 2 }));
  const again = queueWith(["a"], { storage });
  assert.equal(again.beginning(again.current).comment, "hm");
  const request = again.request("tab");
  assert.deepEqual(request.drafts.map((draft) => [draft.task_hash, draft.draft.part]), [["a", 2]]);
  again.receive(reply({ drafted: ["a"] }), request);
  assert.deepEqual(again.request("tab").drafts, []);
  assert.equal(again.beginning(again.current).comment, "hm");
  assert.equal(queueWith(["a"], { storage }).drafts.get("a"), null);
});

test("a draft changed while an older one was under way is sent again", () => {
  const queue = queueWith(["a"]);
  queue.keepDraft(marks({ comment: "1" }));
  const request = queue.request("tab");
  queue.keepDraft(marks({ comment: "2" }));
  queue.receive(reply({ drafted: ["a"] }), request);
  assert.equal(queue.request("tab").drafts[0].draft.comment, "2");
});

test("of two devices' drafts the newest wins, and an answer ends the draft", () => {
  const storage = new Storage();
  queueWith(["a"], { storage }).keepDraft(marks({ comment: "here" }));
  const older = { ...marks({ comment: "there" }), seq: 5 };
  const newer = { ...older, seq: 9e15 };
  const begun = (draft) => {
    const queue = new Queue({ storage, prefix: "p.", clock: () => 1000 });
    queue.receive(reply({ tasks: [task("a", { draft })] }), {});
    return queue;
  };
  assert.equal(begun(older).beginning(begun(older).current).comment, "here");
  const queue = begun(newer);
  assert.equal(queue.beginning(queue.current).comment, "there");
  queue.decide("accept", marks(), 0);
  assert.equal(queue.drafts.get("a"), null);
  assert.deepEqual(storage.names().filter((name) => name.includes("draft")), []);
});

const old = (name, more = {}) => ({ task: task(name), answer: { answer_id: name, seq: 7, verdict: "accept", ...marks(more) } });

test("a reopened text comes first with its answer, and leaving it changes nothing", () => {
  const queue = queueWith(["a", "b"]);
  queue.reopen(old("z", { labels: ["X"] }));
  assert.deepEqual([queue.current.task_hash, queue.beginning(queue.current).labels], ["z", ["X"]]);
  queue.keepDraft(marks());
  assert.deepEqual(queue.request("tab").drafts, []);
  assert.deepEqual(queue.request("tab").have, ["a", "b"]);
  assert.ok(queue.leave());
  assert.deepEqual([queue.current.task_hash, queue.unsaved.size, queue.drafts.get("z")], ["a", 0, null]);
  assert.equal(queue.leave(), false);
});

test("deciding a reopened text appends an answer; taking that back puts the earlier one in force", () => {
  const queue = queueWith(["a"]);
  queue.reopen(old("z", { labels: ["X"] }));
  queue.decide("reject", marks({ labels: ["Y"] }), 0);
  assert.equal(queue.current.task_hash, "a");
  assert.equal(queue.undo().task_hash, "z");
  const sent = queue.request("tab").answers;
  assert.deepEqual(sent.map((answer) => [answer.verdict, answer.labels]), [["reject", ["Y"]], ["accept", ["X"]]]);
  assert.ok(!sent[1].retracted && sent[1].seq > sent[0].seq);
  assert.deepEqual(queue.beginning(queue.current).labels, ["Y"]);
  queue.leave();
  assert.equal(queue.current.task_hash, "a");
});

test("a refused answer's text comes next as it was marked, never in place of the one on the screen, and once", () => {
  const queue = queueWith(["a", "b", "c"]);
  const bad = queue.decide("accept", marks({ labels: ["GONE"], comment: "why" }), 0);
  queue.receive(reply({ refused: [{ answer_id: bad.answer_id, reason: "no such label" }] }), {});
  assert.deepEqual(queue.tasks.map((t) => t.task_hash), ["b", "a", "c"]);
  queue.decide("accept", marks(), 0);
  assert.equal(queue.refusal(queue.current), "no such label");
  assert.deepEqual(queue.beginning(queue.current).comment, "why");
  const worse = queue.decide("accept", marks(), 0);
  assert.equal(queue.refused.size, 0);
  queue.receive(reply({ refused: [{ answer_id: worse.answer_id, reason: "still" }] }), {});
  assert.deepEqual([queue.tasks.map((t) => t.task_hash), queue.refused.size], [["c"], 1]);
});

test("a refused answer is found again after a reload, when its text comes", () => {
  const storage = new Storage();
  const queue = queueWith(["a"], { storage });
  const bad = queue.decide("accept", marks({ labels: ["GONE"] }), 0);
  queue.receive(reply({ refused: [{ answer_id: bad.answer_id, reason: "no" }] }), {});
  storage.removeItem("p.draft.a");
  const after = queueWith(["a"], { storage });
  assert.deepEqual(after.beginning(after.current).labels, ["GONE"]);
});

test("texts that others have by now go, but for the one on the screen", () => {
  const queue = queueWith(["a", "b", "c"]);
  queue.receive(reply({ gone: ["a", "b"] }), {});
  assert.deepEqual(queue.tasks.map((t) => t.task_hash), ["a", "c"]);
});

test("later puts a text behind the others; the last one stays", () => {
  const queue = queueWith(["a", "b"], { mode: "adjudicate" });
  assert.ok(queue.postpone());
  assert.equal(queue.current.task_hash, "b");
  assert.equal(queue.request("tab").mode, "adjudicate");
  queue.decide("accept", marks(), 0);
  assert.equal(queue.postpone(), false);
});

test("differences are told as what was done: relabelled, moved, added, removed", () => {
  const found = difference(
    { labels: ["p"], spans: [[0, 2, "A"], [3, 5, "A"], [6, 8, "B"]] },
    { labels: ["q"], spans: [[0, 2, "B"], [3, 6, "A"], [9, 11, "C"]] });
  assert.deepEqual(found, {
    relabelled: [[[0, 2, "A"], [0, 2, "B"]]],
    moved: [[[3, 5, "A"], [3, 6, "A"]]],
    removed: [[6, 8, "B"]],
    added: [[9, 11, "C"]],
    labelsRemoved: ["p"],
    labelsAdded: ["q"],
  });
  assert.deepEqual(disputed([{ spans: [[0, 1, "A"]] }, { spans: [[0, 1, "A"], [2, 3, "A"]] }]), [[], [[2, 3, "A"]]]);
});

test("the words of a span are cut in the middle, by letters as people count them", () => {
  const tokens = [["🙂🙂", 1, 0, 2], ["Nike", 1, 3, 7], ["x".repeat(200), 0, 8, 208]];
  assert.equal(wordsOf(tokens, 0, 7), "🙂🙂 Nike");
  assert.equal(wordsOf(tokens, 8, 208, 10), "xxxxx … xxxxx");
  assert.equal(wordsOf(tokens, 3, 5), "Ni");
});

test("only plain addresses become links, and nothing is called certain that is not", () => {
  assert.equal(safeAddress("https://example.org/"), "https://example.org/");
  for (const bad of ["javascript:alert(1)", "data:text/html,x", "//x", "relative", null]) assert.equal(safeAddress(bad), null);
  assert.deepEqual([percent(0.876), percent(0.999), percent(1)], [88, 99, 100]);
});

/** A route that a proxy answers itself, and a socket that works. */
function blocked(queue, answer, status = 404) {
  const sent = [];
  const detour = new Detour({ newId: () => `${sent.length}`, wait: 50 });
  detour.setState = (name, value) => {
    sent.push(value.body);
    const body = answer(value.body);
    if (body) queueMicrotask(() => detour.deliver({ id: value.id, body }));
  };
  const fetcher = async () => ({ ok: status === 200, status, json: async () => { throw new SyntaxError("<html>"); } });
  const synchronizer = new Synchronizer({ queue, url: "/", token: "t", onChange() {}, fetcher, detour });
  synchronizer.client = "tab";
  return { synchronizer, sent, detour };
}

test("where a proxy answers in the route's place, calls go over the page's own socket", async () => {
  for (const status of [200, 404, 405, 403]) {
    const queue = queueWith(["a", "b"]);
    const { answer_id: id } = queue.decide("accept", marks(), 0);
    const { synchronizer, sent } = blocked(queue, () => reply({ acked: [id] }), status);
    await synchronizer.sync();
    synchronizer.stop();
    assert.deepEqual([synchronizer.state, sent.length, sent[0].answers.length], ["saved", 1, 1]);
  }
});

test("where the socket is dead too the page is offline, and an answer to an older call is none to this", async () => {
  const queue = queueWith(["a"]);
  queue.decide("accept", marks(), 0);
  const { synchronizer, detour } = blocked(queue, () => null);
  const call = synchronizer.sync();
  await new Promise((resolve) => setTimeout(resolve, 10));
  detour.deliver({ id: "from an earlier call", body: reply() });
  await call;
  synchronizer.stop();
  assert.deepEqual([synchronizer.state, queue.unsaved.size], ["offline", 1]);
});

test("calls over the socket are at most one a second", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  let sent = 0;
  const detour = new Detour({ newId: () => "1", clock: () => now });
  detour.setState = () => {
    sent += 1;
    queueMicrotask(() => detour.deliver({ id: "1", body: {} }));
  };
  await detour.send({});
  now = 990;
  const second = detour.send({});
  t.mock.timers.tick(9);
  await Promise.resolve();
  assert.equal(sent, 1, "the second waits for its turn");
  t.mock.timers.tick(1);
  await second;
  assert.equal(sent, 2);
});
