// Keys for the desk, as in the terminal. They act on the strip that has the focus, or had it last.

import { element } from "./dom.js";
import { OFF_DB } from "./scale.js";

const SWITCHED_OFF = "stemstream-keys-off";

export const KEYS = [
  ["\u2190 \u2192", "choose a strip"],
  ["\u2191 \u2193", "its level, 1 dB (3 dB below \u221230 dB); with shift 0.1 dB"],
  ["page up, page down", "6 dB"],
  ["0", "0 dB"],
  ["m, s", "mute, solo"],
  ["1 to 9", "mute a stem; with shift, solo"],
  ["+, \u2212", "master, as \u2191 \u2193"],
  ["d", "dry"],
  ["r", "record"],
  ["space", "play or pause a file"],
  ["l", "let a MIDI controller learn this fader"],
  ["?", "this help"],
];

/** Listen to keys on the whole page. `desk` does what they say; see `Desk`. */
export class Keys {
  #desk;

  constructor(desk) {
    this.#desk = desk;
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** A switch for people whose voice control or cat presses keys. */
  static switch() {
    const box = element("input", {
      type: "checkbox",
      change: () => keep(box.checked),
    });
    box.checked = areOn();
    return element("label", { class: "check" }, box, "Single keys work on this page");
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !isStep(event)) return;
    const isTyping = event.target.closest("input:not([type=range]), select, textarea, dialog");
    if (isTyping || event.defaultPrevented && !event.key.startsWith("Arrow") || !areOn()) return;
    const isOnButton = event.target.closest("button, a") !== null;
    if (event.key === " " && isOnButton) return;
    if (this.#act(event)) event.preventDefault();
  }

  #act({ key, code, shiftKey }) {
    const desk = this.#desk;
    const digit = /^Digit([1-9])$/.exec(code)?.[1];
    // some keyboards have a sign there: French, Czech
    const isSign = !shiftKey && "+=-_".includes(key);
    if (digit && !isSign) return desk.flip(Number(digit) - 1, shiftKey ? "solo" : "mute");
    switch (key) {
      case "ArrowLeft": return desk.choose(-1);
      case "ArrowRight": return desk.choose(1);
      case "ArrowUp": return desk.nudge(shiftKey ? 0.1 : 1);
      case "ArrowDown": return desk.nudge(shiftKey ? -0.1 : -1);
      case "PageUp": return desk.nudge(6);
      case "PageDown": return desk.nudge(-6);
      case "0": return desk.level(0);
      case "Home": return desk.level(OFF_DB);
      case "m": case "M": return desk.flipChosen("mute");
      case "s": case "S": return desk.flipChosen("solo");
      case "+": case "=": return desk.nudgeMaster(1);
      case "-": case "_": return desk.nudgeMaster(-1);
      case "d": case "D": return desk.toggleDry();
      case "r": case "R": return desk.toggleRecord();
      case " ": return desk.togglePlay();
      case "l": case "L": return desk.learn();
      case "?": return desk.help();
      default: return false;
    }
  }
}

const isStep = ({ key }) => key.startsWith("Arrow") || "+=-_".includes(key);

function areOn() {
  try {
    return localStorage.getItem(SWITCHED_OFF) === null;
  } catch {
    return true; // a browser that keeps nothing
  }
}

function keep(on) {
  try {
    if (on) localStorage.removeItem(SWITCHED_OFF);
    else localStorage.setItem(SWITCHED_OFF, "1");
  } catch {
    // then it holds until the page is left
  }
}
