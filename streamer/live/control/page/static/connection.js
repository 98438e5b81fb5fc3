// One WebSocket that comes back by itself: after a restart of the program, a hole in the wireless
// network, or a laptop that slept.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5000;
// meters come 20 times a second: a silent connection is a dead one. By the clock on the wall: the
// others stand still while a machine sleeps.
const SILENT_MS = 4000;
const FULL = 1013; // what the server closes a page with that has no room

/**
 * Events: "open", "message" (detail: the object that came), "change" (`state` or `refusal` is a new
 * one).
 * States: "connecting", "open", "waiting" (until `nextAt`). `refusal` is the HTTP status with which
 * the server refuses this page, 0 if it does not: 401 after it got another token. 1013: it has no
 * room for one more.
 */
export class Connection extends EventTarget {
  state = "connecting";
  nextAt = 0;
  refusal = 0;
  #address;
  #socket = null;
  #wait = FIRST_WAIT_MS;
  #timer = 0;
  #heardAt = 0;

  constructor(address) {
    super();
    this.#address = address;
    addEventListener("online", () => this.wake());
    addEventListener("pageshow", () => this.wake());
    document.addEventListener("resume", () => this.wake());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.wake();
    });
    setInterval(() => this.#watch(), 1000);
  }

  /** Connect now, whatever the wait. */
  open() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#tell("connecting");
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    this.#heardAt = Date.now();
    socket.onmessage = (event) => {
      this.#heardAt = Date.now();
      this.#wait = FIRST_WAIT_MS;
      this.refusal = 0;
      if (this.state !== "open") {
        this.#tell("open");
        this.dispatchEvent(new Event("open"));
      }
      this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(event.data) }));
    };
    socket.onclose = ({ code }) => this.#again(code);
  }

  /** Send an object; false where there is no connection. */
  send(message) {
    if (this.state !== "open" || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** The page is looked at again, or the network is back. */
  wake() {
    if (this.state === "waiting") this.open();
    else this.#watch();
  }

  #watch() {
    if (this.state !== "waiting" && Date.now() - this.#heardAt > SILENT_MS) this.#again();
  }

  #again(code) {
    this.#drop();
    if (code === FULL) this.refusal = FULL;
    else if (this.state === "connecting") this.#ask();
    const wait = this.#wait * (0.8 + 0.4 * Math.random()); // not all phones at the same moment
    this.#wait = Math.min(LONGEST_WAIT_MS, this.#wait * 2);
    this.nextAt = Date.now() + wait;
    this.#tell("waiting");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.open(), wait);
  }

  /** A WebSocket does not tell why it was refused; the page itself does. */
  async #ask() {
    try {
      const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
      this.refusal = answer.ok ? 0 : answer.status;
    } catch {
      this.refusal = 0; // nobody is there at all
    }
    this.dispatchEvent(new Event("change"));
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #tell(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
