// The last ten seconds of each stem, from peaks that come once. Each peak is drawn once, into a
// picture that goes round like a ring; a frame only moves two pieces of it.

import { element } from "./dom.js";

export const SHOWN_SECONDS = 10;

/** One lane. Peaks are 0 (silence) to 1 (full scale), `rate` of them a second. */
export class Wave {
  #canvas = element("canvas", { class: "wave", "aria-hidden": "true" });
  #ring = document.createElement("canvas");
  #peaks = null; // Float32Array, a ring as long as what is shown
  #rate = 0;
  #next = 0; // number of the next peak, from the start of the run
  #size = [0, 0];
  #column = 1;
  #colour = "";

  constructor() {
    this.node = this.#canvas;
    new ResizeObserver(() => this.restyle()).observe(this.#canvas);
  }

  /** Take peaks; `start` is the number of the first one. What is missing before it is silence. */
  feed(start, rate, peaks) {
    if (rate !== this.#rate || start < this.#next - this.#length) this.#begin(rate, start);
    const first = Math.max(this.#next, start + peaks.length - this.#length);
    for (let number = first; number < start + peaks.length; number++) {
      this.#peaks[number % this.#length] = number < start ? 0 : peaks[number - start];
      this.#stroke(number);
    }
    this.#next = Math.max(this.#next, start + peaks.length);
  }

  forget() {
    this.#rate = this.#next = 0;
    this.#peaks = null;
    this.#canvas.getContext("2d").clearRect(0, 0, ...this.#size);
  }

  get #length() {
    return this.#peaks?.length ?? 0;
  }

  #begin(rate, start) {
    this.#rate = rate;
    this.#next = start;
    this.#peaks = new Float32Array(Math.ceil(rate * SHOWN_SECONDS));
    this.#ring.width = 0;
    this.restyle();
  }

  /** Colours or size have changed: draw what is known again. */
  restyle() {
    const ratio = devicePixelRatio || 1;
    this.#size = [this.#canvas.clientWidth * ratio, this.#canvas.clientHeight * ratio].map(Math.round);
    [this.#canvas.width, this.#canvas.height] = this.#size;
    this.#colour = getComputedStyle(this.#canvas).getPropertyValue("--stem").trim();
    if (!this.#length || !this.#size[0]) return;
    this.#column = this.#size[0] / this.#length;
    this.#ring.width = Math.ceil(this.#size[0]);
    this.#ring.height = this.#size[1];
    for (let number = Math.max(0, this.#next - this.#length); number < this.#next; number++) {
      this.#stroke(number);
    }
  }

  #stroke(number) {
    if (!this.#size[0]) return;
    const pen = this.#ring.getContext("2d");
    const at = number % this.#length;
    const [left, right] = [Math.floor(at * this.#column), Math.floor((at + 1) * this.#column)];
    const height = this.#size[1];
    // the square root lifts what is soft: a breath before the first word is seen
    const tall = Math.max(1, Math.sqrt(Math.min(1, this.#peaks[at])) * height);
    pen.clearRect(left, 0, Math.max(1, right - left), height);
    pen.fillStyle = this.#colour;
    pen.fillRect(left, (height - tall) / 2, Math.max(1, right - left), tall);
  }

  /** Draw so that the peak of number `now` (it may lie between two) is at the right end. */
  draw(now) {
    const [width, height] = this.#size;
    if (!this.#length || !width) return;
    const pen = this.#canvas.getContext("2d");
    const turn = this.#ring.width;
    const shift = ((now % this.#length) / this.#length) * turn;
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.#ring, -shift, 0);
    pen.drawImage(this.#ring, turn - shift, 0);
  }

  get end() {
    return this.#next;
  }

  get rate() {
    return this.#rate;
  }
}

/** The time that all lanes share: it runs evenly between peaks that come in bursts. */
export class WaveClock {
  #at = 0;
  #seenAt = 0;

  /** Return the number of the peak to show at the right end now. */
  read(end, rate, now) {
    const seconds = (now - this.#seenAt) / 1000;
    this.#seenAt = now;
    const behind = end - this.#at;
    if (behind < -rate || behind > rate) this.#at = end;
    // a little faster or slower, so that it stays two hops' worth behind the newest
    else this.#at += rate * seconds * (1 + 0.5 * (behind / rate - 0.1));
    return Math.min(this.#at, end);
  }
}
