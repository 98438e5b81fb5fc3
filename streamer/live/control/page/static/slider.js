// A slider for thumbs, mice, keys and screen readers.
//
// A drag is relative: a touch alone never makes a jump. A finger that moves slowly moves it finely.
// Two taps bring it to its rest. A drag across it is the page's, to scroll. Below the drawn parts
// lies a range input: it takes the keys, and it is what screen readers see and move.

import { element } from "./dom.js";
import { MAX_DB, OFF_DB, faderDb, faderPosition, roundedDb, spokenDb, spokenPan, steppedDb } from "./scale.js";

const SLOP_PX = 6; // a finger at rest trembles
const TWO_TAPS_MS = 350;
const FULL_SPEED = 0.25; // pixels a millisecond: from here on a finger moves it one to one
const FINEST = 0.2;

/** What a slider moves: its range, its steps, where a value lies (0 to 1), and its words. */
export const LEVEL = {
  min: OFF_DB,
  max: MAX_DB,
  rest: 0,
  step: 1,
  fineStep: 0.1,
  bigStep: 6,
  end: 0, // the key End: nobody wants 12 dB at one stroke
  stepped: steppedDb,
  position: faderPosition,
  value: faderDb,
  rounded: roundedDb,
  spoken: spokenDb,
};

const roundedPan = (pan) => {
  const rounded = Math.round(Math.min(1, Math.max(-1, pan)) * 50) / 50;
  return Math.abs(rounded) < 0.05 ? 0 : rounded; // the centre is easy to find
};

export const PAN = {
  min: -1,
  max: 1,
  rest: 0,
  step: 0.1,
  fineStep: 0.1,
  bigStep: 0.5,
  end: 1,
  stepped: (pan, by) => pan + by,
  position: (pan) => (pan + 1) / 2,
  value: (position) => position * 2 - 1,
  rounded: roundedPan,
  spoken: spokenPan,
};

export class Slider {
  value;
  #range;
  #tell;
  #hold;
  #release;
  #isAbsolute;
  #drag = null;
  #tapAt = -Infinity;

  /**
   * `tell(value)` is called when it is moved here, `hold()` and `release()` around a touch.
   * `kind` is a class for its looks, `label` its name for screen readers. One that `isAbsolute`
   * goes to where it is touched: right for a place in a song, wrong for a level.
   */
  constructor(range, { kind, label, tell, hold, release, isAbsolute = false }) {
    this.#range = range;
    this.#isAbsolute = isAbsolute;
    this.#tell = tell;
    this.#hold = hold;
    this.#release = release;
    this.input = element("input", {
      type: "range",
      min: range.min,
      max: range.max,
      step: "any",
      "aria-label": label,
      keydown: (event) => this.#key(event),
      input: () => this.#move(Number(this.input.value)),
    });
    this.node = element(
      "div",
      { class: `slider ${kind}` },
      this.input,
      element("div", { class: "groove" }, element("div", { class: "fill" })),
      element("div", { class: "travel" }, element("div", { class: "cap" })),
    );
    this.node.addEventListener("pointerdown", (event) => this.#down(event));
    this.node.addEventListener("pointermove", (event) => this.#dragged(event));
    this.node.addEventListener("pointerup", (event) => this.#up(event, true));
    this.node.addEventListener("pointercancel", (event) => this.#up(event, false));
    this.node.addEventListener("click", () => this.#isLocked && this.#tell(this.value));
    this.node.addEventListener("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(() => this.#lie()).observe(this.node);
    this.show(range.rest ?? range.min);
  }

  /** Show a value. */
  show(value) {
    if (value === this.value) return;
    this.value = value;
    const range = this.#range;
    this.node.style.setProperty("--at", range.position(value).toFixed(4));
    this.node.toggleAttribute("data-rest", value === range.rest);
    this.input.value = value;
    this.input.setAttribute("aria-valuetext", range.spoken(value));
  }

  /** Where it may not be moved it can still be read, and a try is told to `tell`. */
  lock(locked) {
    this.node.toggleAttribute("data-locked", locked);
    this.input.setAttribute("aria-disabled", String(locked));
  }

  get #isLocked() {
    return this.node.hasAttribute("data-locked");
  }

  get #isVertical() {
    return this.node.dataset.axis === "y";
  }

  #lie() {
    const vertical = this.node.clientHeight > this.node.clientWidth;
    this.node.dataset.axis = vertical ? "y" : "x"; // the style sheet turns the range, too
  }

  #move(wanted) {
    const value = this.#range.rounded(wanted);
    const isNew = value !== this.value;
    if (isNew && !this.#isLocked) this.show(value);
    this.input.value = this.value; // the range has moved by itself
    if (isNew) this.#tell(value);
  }

  #down(event) {
    if (this.#drag || event.button !== 0 || this.#isLocked) return;
    event.preventDefault(); // no text is marked, no compatible mouse events
    this.input.focus({ preventScroll: true, focusVisible: false });
    this.node.setPointerCapture(event.pointerId);
    this.#drag = {
      id: event.pointerId,
      from: [event.clientX, event.clientY],
      last: null,
      position: this.#range.position(this.value),
    };
    this.node.toggleAttribute("data-held", true);
    this.#hold();
    if (this.#isAbsolute) this.#jump(event);
  }

  #jump(event) {
    const box = this.node.querySelector(".travel").getBoundingClientRect();
    const position = (event.clientX - box.left) / (box.width || 1);
    this.#drag.position = Math.min(1, Math.max(0, position));
    this.#drag.last = { along: 0, at: event.timeStamp };
    this.#move(this.#range.value(this.#drag.position));
  }

  #dragged(event) {
    const drag = this.#drag;
    if (drag?.id !== event.pointerId) return;
    const x = event.clientX - drag.from[0];
    const y = drag.from[1] - event.clientY;
    const [along, across] = this.#isVertical ? [y, x] : [x, y];
    if (drag.last === null) {
      if (Math.abs(along) < SLOP_PX || Math.abs(across) > Math.abs(along)) return;
      drag.last = { along, at: event.timeStamp };
      return;
    }
    const travel = this.node.querySelector(".travel");
    const length = (this.#isVertical ? travel.clientHeight : travel.clientWidth) || 1;
    const pixels = along - drag.last.along;
    const speed = Math.abs(pixels) / Math.max(1, event.timeStamp - drag.last.at);
    drag.last = { along, at: event.timeStamp };
    // a mouse is exact by itself; with it, the shift key is for the fine movement
    const isExact = this.#isAbsolute || event.pointerType === "mouse";
    const fineness = isExact ? 1 : Math.min(1, speed / FULL_SPEED);
    const factor = event.shiftKey ? FINEST : Math.max(FINEST, fineness);
    drag.position = Math.min(1, Math.max(0, drag.position + (pixels / length) * factor));
    this.#move(this.#range.value(drag.position));
  }

  #up(event, isWhole) {
    const drag = this.#drag;
    if (drag?.id !== event.pointerId) return;
    this.#drag = null;
    this.node.toggleAttribute("data-held", false);
    if (isWhole && drag.last === null) {
      const isSecond = event.timeStamp - this.#tapAt < TWO_TAPS_MS;
      if (isSecond && this.#range.rest !== null) this.#move(this.#range.rest);
      this.#tapAt = event.timeStamp;
    }
    this.#release();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const range = this.#range;
    const step = event.shiftKey ? range.fineStep : range.step;
    const along = this.#isVertical ? [] : ["ArrowRight", "ArrowLeft"];
    const wanted =
      event.key === "ArrowUp" || event.key === along[0] ? range.stepped(this.value, step)
      : event.key === "ArrowDown" || event.key === along[1] ? range.stepped(this.value, -step)
      : event.key === "PageUp" ? range.stepped(this.value, range.bigStep)
      : event.key === "PageDown" ? range.stepped(this.value, -range.bigStep)
      : event.key === "Home" ? range.min
      : event.key === "End" ? range.end
      : event.key === "0" ? range.rest
      : null;
    const isAcross = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (isAcross && wanted === null) event.preventDefault(); // the range must not move; keys.js may
    if (wanted === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.#move(wanted);
  }
}
