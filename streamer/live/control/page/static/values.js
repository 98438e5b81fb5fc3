// The values of the desk by address, such as "/stem/vocals/gain", as the server has them.
//
// What a finger holds does not move by itself: while an address is held, and for a moment after the
// last word was sent, news from the server is kept and not shown.

const SEND_EVERY_MS = 33;
const SETTLE_MS = 400;

export class Values {
  #send;
  #forbidden;
  #writable = new Set();
  #server = new Map();
  #watchers = new Map();
  #held = new Map(); // address -> how many fingers
  #settling = new Map(); // address -> timer
  #queued = new Map(); // address -> value not yet sent
  #sentAt = new Map();
  #shown = new Map(); // what the page shows, which may run ahead of the server

  /**
   * `send(address, value)` returns whether it was sent. `forbidden()` is called for each try to set
   * what this page may not set.
   */
  constructor(send, forbidden) {
    this.#send = send;
    this.#forbidden = forbidden;
  }

  /** These addresses may be set here, and no others. */
  allow(addresses) {
    this.#writable = new Set(addresses);
  }

  mayWrite(address) {
    return this.#writable.has(address);
  }

  get(address) {
    return this.#server.get(address);
  }

  /** What the page shows: where a finger is, and not where the server thinks that it is. */
  shown(address) {
    return this.#shown.get(address);
  }

  has(address) {
    return this.#server.has(address);
  }

  /** Call `show(value)` with each new value from now on, and with the present one. */
  watch(address, show) {
    const watchers = this.#watchers.get(address) ?? [];
    this.#watchers.set(address, [...watchers, show]);
    if (this.has(address)) show(this.get(address));
  }

  /** Forget all watchers: the page is built again. */
  unwatch() {
    this.#watchers.clear();
    this.#held.clear(); // what a finger held is no more
  }

  /** Take the whole state: what is not in it is no more. */
  replace(values) {
    this.#queued.clear();
    this.#server.clear();
    this.receive(values);
  }

  receive(values) {
    for (const [address, value] of Object.entries(values)) {
      this.#server.set(address, value);
      if (!this.#isOurs(address)) this.#show(address, value);
    }
  }

  /** Set a value: shown at once, sent at most every 33 ms, the last one always. */
  set(address, value) {
    if (!this.mayWrite(address)) return void this.#forbidden();
    this.#show(address, value);
    this.#settle(address);
    const due = (this.#sentAt.get(address) ?? -Infinity) + SEND_EVERY_MS - performance.now();
    if (due <= 0) this.#sendNow(address, value);
    else {
      if (!this.#queued.has(address)) setTimeout(() => this.#sendQueued(address), due);
      this.#queued.set(address, value);
    }
  }

  hold(address) {
    this.#held.set(address, (this.#held.get(address) ?? 0) + 1);
  }

  release(address) {
    const left = (this.#held.get(address) ?? 0) - 1;
    if (left > 0) this.#held.set(address, left);
    else this.#held.delete(address);
    this.#settle(address);
  }

  /** The server said no: show what holds. */
  refuse(address) {
    this.#queued.delete(address);
    if (this.has(address) && !this.#held.has(address)) this.#show(address, this.get(address));
  }

  #isOurs(address) {
    return this.#held.has(address) || this.#settling.has(address);
  }

  #settle(address) {
    clearTimeout(this.#settling.get(address));
    const settled = () => {
      this.#settling.delete(address);
      if (this.has(address) && !this.#isOurs(address)) this.#show(address, this.get(address));
    };
    this.#settling.set(address, setTimeout(settled, SETTLE_MS));
  }

  #sendQueued(address) {
    if (!this.#queued.has(address)) return;
    this.#sendNow(address, this.#queued.get(address));
  }

  #sendNow(address, value) {
    this.#queued.delete(address); // it is older, and its timer may be late
    this.#sentAt.set(address, performance.now());
    if (!this.#send(address, value)) this.refuse(address);
  }

  #show(address, value) {
    this.#shown.set(address, value);
    for (const show of this.#watchers.get(address) ?? []) show(value);
  }
}
