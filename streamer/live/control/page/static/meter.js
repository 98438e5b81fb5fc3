// Meters: RMS and peak, a line that holds the peak, and a lamp that remembers full scale.

import { element } from "./dom.js";
import { meterPosition } from "./scale.js";

const FALL_DB_PER_SECOND = 20 / 1.7; // as in IEC 60268-18
const HOLD_MS = 1500;
const RMS_SECONDS = 0.08;
const FLOOR_DB = -120;
const FULL_DB = -0.01;

/** The movement of one channel: levels in dB in, levels in dB out, time as an argument. */
export class Ballistics {
  peak = FLOOR_DB;
  rms = FLOOR_DB;
  held = FLOOR_DB;
  isClipped = false;
  #heldAt = 0;
  #target = [FLOOR_DB, FLOOR_DB];
  #movedAt = 0;

  feed(peak, rms, now) {
    this.#target = [peak, rms];
    this.peak = Math.max(this.peak, peak);
    if (peak >= this.held) [this.held, this.#heldAt] = [peak, now];
    this.isClipped ||= peak >= FULL_DB;
  }

  move(now) {
    const seconds = Math.min(0.5, (now - this.#movedAt) / 1000);
    this.#movedAt = now;
    const fall = FALL_DB_PER_SECOND * seconds;
    this.peak = Math.max(this.#target[0], this.peak - fall);
    this.rms += (this.#target[1] - this.rms) * (1 - Math.exp(-seconds / RMS_SECONDS));
    if (now - this.#heldAt > HOLD_MS) this.held = Math.max(this.peak, this.held - fall);
  }

  /** Whether anything is left to be seen. */
  get isDown() {
    return this.held <= -60 && this.rms <= -60;
  }
}

const ZONES = [
  ["--meter-low", -60, -18],
  ["--meter-mid", -18, -6],
  ["--meter-high", -6, 0],
];

/** Meters side by side on one canvas, along its longer side. */
export class Meter {
  #channels = [];
  #canvas;
  #colours = null;
  #size = [0, 0];
  #isDrawn = false;
  #isCounted = false;
  #clips = 0;

  constructor(label) {
    this.#canvas = element("canvas", { class: "meter", "aria-hidden": "true" });
    this.lamp = element("button", {
      type: "button",
      class: "clip",
      disabled: true,
      "aria-label": `${label}: no clip`,
      title: "Full scale was reached; press to forget",
      click: () => this.forget(),
    });
    this.label = label;
    this.node = this.#canvas;
    new ResizeObserver(() => this.restyle()).observe(this.#canvas);
  }

  /** Take levels: [[peak, rms], ...] in dBFS, one pair a channel. */
  feed(levels, now) {
    while (this.#channels.length < levels.length) this.#channels.push(new Ballistics());
    this.#channels.length = levels.length;
    levels.forEach(([peak, rms], index) => this.#channels[index].feed(peak, rms, now));
    const isClipped = this.#channels.some((one) => one.isClipped);
    if (!this.#isCounted && isClipped !== this.lamp.hasAttribute("data-on")) this.#light(isClipped);
  }

  /** Take how often each channel was bent under full scale, where the run counts that. */
  countClips(counts) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    this.#isCounted = true;
    if (total > this.#clips) this.#light(true);
    this.#clips = total;
  }

  forget() {
    for (const channel of this.#channels) channel.isClipped = false;
    this.#light(false);
  }

  #light(on) {
    this.lamp.toggleAttribute("data-on", on);
    this.lamp.disabled = !on; // nothing to press, and no stop for the tab key
    this.lamp.setAttribute("aria-label", `${this.label}: ${on ? "clipped, press to forget" : "no clip"}`);
  }

  /** Colours or size have changed. */
  restyle() {
    const style = getComputedStyle(this.#canvas);
    const read = (name) => style.getPropertyValue(name).trim();
    this.#colours = { slot: read("--meter-slot"), zones: ZONES.map(([name]) => read(name)) };
    const ratio = devicePixelRatio || 1;
    this.#size = [this.#canvas.clientWidth * ratio, this.#canvas.clientHeight * ratio].map(Math.round);
    [this.#canvas.width, this.#canvas.height] = this.#size;
    this.#isDrawn = false;
  }

  draw(now) {
    for (const channel of this.#channels) channel.move(now);
    if (!this.#size[0] || (this.#isDrawn && this.#channels.every((one) => one.isDown))) return;
    const pen = this.#canvas.getContext("2d");
    const [width, height] = this.#size;
    const vertical = height > width;
    const [length, breadth] = vertical ? [height, width] : [width, height];
    const gap = Math.max(1, Math.round(devicePixelRatio || 1));
    const count = this.#channels.length || 1;
    const lane = (breadth - gap * (count - 1)) / count;
    const box = (channel, low, high) => {
      const [begin, size] = [low * length, Math.max(0, high - low) * length];
      const across = channel * (lane + gap);
      if (vertical) pen.fillRect(across, height - begin - size, lane, size);
      else pen.fillRect(begin, across, size, lane);
    };
    pen.clearRect(0, 0, width, height);
    for (let index = 0; index < count; index++) {
      pen.fillStyle = this.#colours.slot;
      box(index, 0, 1);
      const channel = this.#channels[index];
      if (!channel) continue;
      ZONES.forEach(([, from, to], zone) => {
        pen.fillStyle = this.#colours.zones[zone];
        const [low, high] = [meterPosition(from), meterPosition(to)];
        pen.globalAlpha = 0.4;
        box(index, low, Math.min(high, meterPosition(channel.peak)));
        pen.globalAlpha = 1;
        box(index, low, Math.min(high, meterPosition(channel.rms)));
        if (channel.held > from && channel.held > -60 && (channel.held <= to || to === 0)) {
          const at = meterPosition(channel.held);
          box(index, Math.max(0, at - (2 * gap) / length), at);
        }
      });
    }
    this.#isDrawn = true;
  }
}
