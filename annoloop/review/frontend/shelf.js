// What the browser keeps: names and values in localStorage under one prefix.

export class Shelf {
  /** `storage` is localStorage or null. `safe` turns false as soon as something could not be kept. */
  constructor(storage, prefix) {
    this.storage = storage;
    this.prefix = prefix;
    this.safe = Boolean(storage);
    if (!storage) return;
    // Where nothing more fits in, what is in there can still be read.
    this.write("probe", "1");
    this.erase("probe");
  }

  names(beginning = "") {
    const start = this.prefix + beginning;
    const keys = this.#try((storage) => Array.from({ length: storage.length }, (_, index) => storage.key(index)));
    return (keys || []).filter((key) => key.startsWith(start)).map((key) => key.slice(this.prefix.length));
  }

  read(name) {
    return this.#try((storage) => storage.getItem(this.prefix + name)) ?? null;
  }

  /** The value kept as JSON, or null where there is none or it is no JSON. */
  readJson(name) {
    try {
      return JSON.parse(this.read(name));
    } catch {
      return null;
    }
  }

  write(name, value) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    this.#try((storage) => storage.setItem(this.prefix + name, text));
  }

  erase(name) {
    this.#try((storage) => storage.removeItem(this.prefix + name));
  }

  #try(act) {
    try {
      return act(this.storage);
    } catch {
      this.safe = false;
      return null;
    }
  }
}
