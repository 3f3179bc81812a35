// Stand-ins for what a browser and the server give.

export class Storage {
  items = new Map();
  get length() { return this.items.size; }
  key(index) { return [...this.items.keys()][index]; }
  getItem(key) { return this.items.get(key) ?? null; }
  setItem(key, value) { this.items.set(key, value); }
  removeItem(key) { this.items.delete(key); }
  names() { return [...this.items.keys()]; }
}

export const task = (name, more = {}) =>
  ({ task_hash: name, round: 1, tokens: [[name, 0, 0, name.length]], suggestion: null, draft: null, ...more });

export const reply = (more = {}) =>
  ({ acked: [], refused: [], tasks: [], progress: { done: 0, open: 3, rounds: { 1: [0, 3] } }, ...more });
