// node --test tests/frontend: clocks, storage and sizes that are not as they should be
import assert from "node:assert/strict";
import test from "node:test";
import { Queue } from "../../annoloop/review/frontend/queue.js";
import { Shelf } from "../../annoloop/review/frontend/shelf.js";
import { Synchronizer } from "../../annoloop/review/frontend/sync.js";
import { Detour } from "../../annoloop/review/frontend/transport.js";
import { reply, Storage, task } from "./fakes.js";

const DAY = 86_400_000;
const rest = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function queueWith(names, { storage = new Storage(), clock = () => 1000, ...more } = {}) {
  const queue = new Queue({ storage, prefix: "p.", clock });
  queue.receive(reply({ tasks: names.map((name) => task(name)), history: [], ...more }), { before: null });
  return queue;
}

test("an answer counts over one that the same person gave where the clock is ahead", () => {
  const ahead = (1000 + DAY) * 1000;
  assert.ok(queueWith(["a"], { last_seq: ahead }).decide("accept", {}, 0).seq > ahead);
  const queue = queueWith(["a"]);
  queue.reopen({ task: task("b"), answer: { seq: ahead, verdict: "accept" } });
  assert.ok(queue.decide("reject", {}, 0).seq > ahead);
  const begun = queueWith([]);
  begun.receive(reply({ tasks: [task("a", { draft: { seq: ahead, labels: [], spans: [] } })] }), {});
  begun.keepDraft({ labels: ["X"], spans: [] });
  assert.ok(begun.drafts.unsent()[0].seq > ahead);
});

test("storage that is full gives back what it holds, and is not called safe", () => {
  const storage = new Storage();
  queueWith(["a", "b"], { storage }).decide("accept", {}, 0);
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  assert.equal(new Shelf(storage, "p.").safe, false);
  const after = queueWith(["a", "b"], { storage });
  assert.equal(after.request("tab").answers.length, 1);
  assert.equal(after.current.task_hash, "b");
});

test("storage that is emptied behind the page takes nothing from it", () => {
  const storage = new Storage();
  const queue = queueWith(["a", "b"], { storage });
  queue.decide("accept", {}, 0);
  storage.items.clear();
  queue.decide("accept", {}, 0);
  assert.equal(queue.request("tab").answers.length, 2);
});

test("undoing a hundred times asks for no more texts than the server answers to", () => {
  const names = Array.from({ length: 100 }, (_, index) => `t${index}`);
  const queue = queueWith(names);
  names.forEach(() => queue.decide("accept", {}, 0));
  names.forEach(() => queue.undo());
  assert.equal(queue.current.task_hash, "t0");
  assert.ok(queue.request("tab").have.length <= 50);
});

test("many large answers go in calls that the server takes", () => {
  const names = Array.from({ length: 100 }, (_, index) => `t${index}`);
  const queue = queueWith(names);
  const spans = Array.from({ length: 10_000 }, (_, index) => [index, index + 1, "ORGANISATION"]);
  names.forEach(() => queue.decide("accept", { spans }, 0));
  let saved = 0;
  for (let calls = 0; queue.unsaved.size && calls < 100; calls += 1) {
    const request = queue.request("tab");
    assert.ok(JSON.stringify(request).length < 7_000_000);
    assert.ok(request.answers.length > 0);
    saved += request.answers.length;
    queue.receive(reply({ acked: request.answers.map((answer) => answer.answer_id) }), request);
  }
  assert.equal(saved, 100);
});

function synchronizerWith(queue, clock) {
  const calls = [];
  const fetcher = async (_url, { body }) => {
    const request = JSON.parse(body);
    calls.push(request);
    const known = reply({ acked: request.answers.map((answer) => answer.answer_id), history: [] });
    return { ok: true, status: 200, json: async () => known };
  };
  const synchronizer = new Synchronizer({ queue, url: "u", token: "t", onChange: () => {}, fetcher, clock });
  return { synchronizer, calls };
}

for (const jump of [10 * 3_600_000, -DAY]) {
  test(`after the clock went by ${jump / 3_600_000} hours a decision is sent soon, though no timer ran meanwhile`, async () => {
    let now = Date.now();
    const queue = queueWith(["a", "b"], { clock: () => now });
    const { synchronizer, calls } = synchronizerWith(queue, () => now);
    await synchronizer.start("tab");
    now += jump;
    queue.decide("accept", {}, 0);
    synchronizer.push();
    await rest(600);
    synchronizer.stop();
    assert.equal(calls.flatMap((request) => request.answers).length, 1);
    assert.equal(queue.unsaved.size, 0);
  });
}

test("the way round a proxy does not wait for a clock that was set back", async () => {
  let now = 5 * DAY;
  const detour = new Detour({ clock: () => now, newId: () => "one" });
  detour.setState = (_name, { id }) => detour.deliver({ id, body: { acked: [] } });
  await detour.send({});
  now -= DAY;
  const came = await Promise.race([detour.send({}), rest(1_500)]);
  assert.deepEqual(came, { acked: [] });
});
