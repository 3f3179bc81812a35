// node --test tests/frontend
import assert from "node:assert/strict";
import test from "node:test";
import { Queue } from "../../annoloop/review/frontend/queue.js";
import { tabName } from "../../annoloop/review/frontend/tab.js";
import { Synchronizer } from "../../annoloop/review/frontend/sync.js";
import { reply, Storage, task } from "./fakes.js";

function queueWith(names, { storage = new Storage(), clock = () => 1000 } = {}) {
  const queue = new Queue({ storage, prefix: "p.", clock });
  queue.receive(reply({ tasks: names.map((name) => task(name)), history: [] }), { before: null });
  return queue;
}

test("a decision belongs to the text that was current, and waits until it is acknowledged", () => {
  const queue = queueWith(["a", "b"]);
  const answer = queue.decide("accept", { spans: [[0, 1, "X"]] }, 12.4);
  assert.deepEqual([answer.task_hash, answer.milliseconds, queue.current.task_hash], ["a", 12, "b"]);
  const request = queue.request("tab");
  assert.deepEqual(request.answers, [answer]);
  assert.deepEqual(request.have, ["b"]);
  queue.receive(reply(), request);
  assert.equal(queue.unsaved.size, 1);
  queue.receive(reply({ acked: [answer.answer_id] }), request);
  assert.equal(queue.unsaved.size, 0);
});

test("what was not acknowledged outlives the page, in order, and is not asked again", () => {
  const storage = new Storage();
  const before = queueWith(["a", "b"], { storage });
  before.decide("accept", {}, 0);
  before.decide("reject", {}, 0);
  const after = queueWith(["a", "c"], { storage });
  assert.deepEqual(after.request("tab").answers.map((answer) => answer.verdict), ["accept", "reject"]);
  assert.equal(after.current.task_hash, "c");
});

test("seq only grows, though the clock is set back", () => {
  const storage = new Storage();
  let now = 5000;
  const queue = queueWith(["a", "b"], { storage, clock: () => now });
  const first = queue.decide("accept", {}, 0).seq;
  now = 10;
  assert.ok(queue.decide("accept", {}, 0).seq > first);
  assert.ok(queueWith(["c"], { storage, clock: () => now }).decide("accept", {}, 0).seq > first + 1);
});

test("undo brings the text back as it was decided, then again further", () => {
  const queue = queueWith(["a", "b", "c"]);
  queue.decide("accept", { labels: ["X"] }, 0);
  queue.decide("reject", {}, 0);
  assert.equal(queue.undo().task_hash, "b");
  assert.equal(queue.undo().task_hash, "a");
  assert.deepEqual(queue.drafts.get("a").labels, ["X"]);
  assert.equal(queue.undo(), null);
  assert.deepEqual(queue.tasks.map((t) => t.task_hash), ["a", "b", "c"]);
  const sent = queue.request("tab").answers.map((answer) => [answer.task_hash, Boolean(answer.retracted)]);
  assert.deepEqual(sent, [["a", false], ["b", false], ["b", true], ["a", true]]);
});

test("history from the server lies below what was decided here", () => {
  const queue = new Queue({ storage: new Storage(), prefix: "p.", clock: () => 1 });
  const old = (name, seq) => ({ task: task(name), answer: { answer_id: name, seq, verdict: "accept", labels: [], spans: [] } });
  queue.receive(reply({ tasks: [task("n")], history: [old("z", 9000), old("y", 8000)] }), { before: null });
  assert.ok(queue.decide("accept", {}, 0).seq > 9000);
  assert.deepEqual([queue.undo(), queue.undo(), queue.undo()].map((t) => t.task_hash), ["n", "z", "y"]);
});

test("a refused answer is shown and no longer sent; the others go on", () => {
  const storage = new Storage();
  const queue = queueWith(["a", "b"], { storage });
  const bad = queue.decide("accept", {}, 0);
  queue.decide("accept", {}, 0);
  queue.receive(reply({ refused: [{ answer_id: bad.answer_id, reason: "no" }] }), {});
  assert.equal(queue.request("tab").answers.length, 1);
  assert.deepEqual([...queueWith([], { storage }).refused.values()].map((entry) => entry.reason), ["no"]);
  queue.dismissRefused();
  assert.equal(queueWith([], { storage }).refused.size, 0);
});

test("the count runs ahead of the server by what is not acknowledged yet", () => {
  const queue = queueWith(["a", "b", "c"]);
  queue.decide("accept", {}, 0);
  queue.decide("accept", {}, 0);
  assert.deepEqual(queue.counts(), { done: 2, all: 3, inRound: true, mine: null });
  queue.undo();
  assert.equal(queue.counts().done, 1);
});

test("without storage it works and says that it keeps nothing", () => {
  const queue = queueWith(["a"], { storage: null });
  queue.decide("accept", {}, 0);
  assert.equal(queue.unsaved.size, 1);
  assert.equal(queue.safe, false);
  const full = new Storage();
  full.setItem = () => { throw new Error("quota"); };
  const other = queueWith(["a"], { storage: full });
  other.decide("accept", {}, 0);
  assert.equal(other.safe, false);
});

test("leases asked for anew replace the texts at hand but keep the one on the screen", () => {
  const queue = queueWith(["a", "b"]);
  assert.deepEqual(queue.request("tab", { anew: true }).have, []);
  queue.receive(reply({ tasks: [task("c"), task("a")] }), {}, { anew: true });
  assert.deepEqual(queue.tasks.map((t) => t.task_hash), ["a", "c"]);
});

function synchronizerWith(queue, answers) {
  const calls = [];
  const fetcher = async (url, options) => {
    calls.push({ body: JSON.parse(options.body), token: options.headers["X-Annoloop-Token"] });
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return { ok: next.status === undefined, status: next.status ?? 200, json: async () => next.body };
  };
  const synchronizer = new Synchronizer({ queue, url: "/", token: "t", onChange() {}, fetcher });
  synchronizer.client = "tab";
  return { synchronizer, calls };
}

test("trouble is shown as what it is, and the same answers are sent again until they are saved", async () => {
  const queue = queueWith(["a", "b"]);
  const { answer_id: id } = queue.decide("accept", {}, 0);
  const { synchronizer, calls } = synchronizerWith(queue, [
    new TypeError("network"),
    { status: 503, body: { message: "the disk is full" } },
    { status: 401, body: { message: "old" } },
    { body: reply({ acked: [id] }) },
  ]);
  const states = [];
  for (let round = 0; round < 4; round += 1) {
    await synchronizer.sync();
    states.push(synchronizer.state);
  }
  synchronizer.stop();
  assert.deepEqual(states, ["offline", "failed", "stale", "saved"]);
  assert.ok(calls.every((call) => call.body.answers[0].answer_id === id));
});

test("one call is in flight at a time; what is decided meanwhile goes with the next", async () => {
  const queue = queueWith(["a", "b"]);
  queue.decide("accept", {}, 0);
  let release;
  const gate = new Promise((resolve) => { release = resolve; });
  let calls = 0;
  const fetcher = async (url, options) => {
    calls += 1;
    const ids = JSON.parse(options.body).answers.map((answer) => answer.answer_id);
    await gate;
    return { ok: true, status: 200, json: async () => reply({ acked: ids }) };
  };
  const synchronizer = new Synchronizer({ queue, url: "/", token: "t", onChange() {}, fetcher });
  synchronizer.client = "tab";
  const first = synchronizer.sync();
  await synchronizer.sync();
  queue.decide("accept", {}, 0);
  assert.equal(calls, 1);
  release();
  await first;
  assert.equal(synchronizer.state, "unsaved");
  await synchronizer.sync();
  synchronizer.stop();
  assert.equal(synchronizer.state, "saved");
});

test("a tab's name goes to the next tab when it ends, and to no other while it lives", async () => {
  const held = new Set();
  const locks = {
    async request(name, _, callback) {
      if (held.has(name)) return callback(null);
      held.add(name);
      return callback({ name });
    },
  };
  const storage = new Storage();
  const first = await tabName(storage, "p.", locks);
  const second = await tabName(storage, "p.", locks);
  assert.notEqual(first, second);
  held.delete(`p.${first}`);
  assert.equal(await tabName(storage, "p.", locks), first);
  assert.notEqual(await tabName(storage, "q.", locks), first);
  assert.equal((await tabName(null, "p.", locks)).length, 24);
});
