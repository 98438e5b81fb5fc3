// One channel strip: name, pan, solo and mute, fader and meter. The desk, the master and each
// listener's page are made of these.

import { element, write } from "./dom.js";
import { Meter } from "./meter.js";
import { FADER_MARKS, METER_MARKS, OFF_DB, faderPosition, meterPosition, shownDb, shownPan } from "./scale.js";
import { LEVEL, PAN, Slider } from "./slider.js";
import { valueSwitch } from "./switch.js";

const COLOURS = ["vocals", "drums", "bass", "other", "guitar", "piano"];
const ALL_COLOURS = 8;

/** The colour of a stem: its own if it is known, else one that its name always gives. */
export function colourOf(stem) {
  const known = COLOURS.indexOf(stem);
  if (known >= 0) return known;
  const sum = [...stem].reduce((total, sign) => total + sign.codePointAt(0), 0);
  return COLOURS.length + (sum % (ALL_COLOURS - COLOURS.length));
}

export class Strip {
  meter = null;

  /**
   * `addresses` say which of the `values` it moves: `gain`, and where there are such: `pan`, `mute`,
   * `solo`.
   */
  constructor({ name, colour = null, addresses, values, withMeter = true }) {
    this.name = name;
    this.addresses = addresses;
    this.values = values;
    this.node = element("section", {
      class: "strip",
      role: "group",
      "aria-label": name,
      "data-colour": colour,
    });
    this.node.append(element("h3", { class: "name", title: name }, name));
    if (addresses.pan) this.node.append(this.#pan());
    this.node.append(this.#switches());
    this.node.append(this.#travel(withMeter));
    this.node.append(this.#readout());
  }

  /** Bring the keys here. */
  focus() {
    this.fader.input.focus();
  }

  /** Turn a switch over, where there is one: "mute" or "solo". */
  flip(which) {
    const address = this.addresses[which];
    if (address) this.values.set(address, this.values.shown(address) ? 0 : 1);
  }

  #slider(range, address, options) {
    const { values } = this;
    const slider = new Slider(range, {
      ...options,
      tell: (value) => values.set(address, value),
      hold: () => values.hold(address),
      release: () => values.release(address),
    });
    slider.node.dataset.address = address;
    slider.lock(!values.mayWrite(address));
    values.watch(address, (value) => slider.show(value));
    return slider;
  }

  #pan() {
    const slider = this.#slider(PAN, this.addresses.pan, {
      kind: "pan",
      label: `${this.name} pan`,
    });
    const shown = element("span", { class: "pan-value", "aria-hidden": "true" });
    this.values.watch(this.addresses.pan, (pan) => write(shown, shownPan(pan)));
    return element("div", { class: "pan-box" }, slider.node, shown);
  }

  #switches() {
    const box = element("div", { class: "switches" });
    for (const [which, letter] of [["solo", "S"], ["mute", "M"]]) {
      const address = this.addresses[which];
      if (!address) continue;
      const given = { class: `switch ${which}`, title: `${which} (${which[0]})` };
      box.append(valueSwitch(this.values, address, `${which} ${this.name}`, given, letter));
    }
    return box;
  }

  #travel(withMeter) {
    this.fader = this.#slider(LEVEL, this.addresses.gain, {
      kind: "fader",
      label: `${this.name} level`,
    });
    const box = element("div", { class: "channel" }, marks("marks", FADER_MARKS, faderPosition), this.fader.node);
    if (withMeter) {
      this.meter = new Meter(this.name);
      box.append(element("div", { class: "meter-box" }, this.meter.lamp, this.meter.node, marks("scale", METER_MARKS, meterPosition)));
    }
    return box;
  }

  #readout() {
    const number = element("span", { class: "number" });
    this.values.watch(this.addresses.gain, (db) => write(number, shownDb(db)));
    return element("p", { class: "readout", "aria-hidden": "true" }, number, element("small", {}, "dB"));
  }
}

function marks(kind, levels, position) {
  const scale = element("div", { class: kind, "aria-hidden": "true" });
  for (const db of levels) {
    const text = db <= OFF_DB ? "\u221e" : String(Math.abs(db));
    const mark = element("span", { "data-rest": db === 0 }, text);
    mark.style.setProperty("--at", position(db).toFixed(4));
    scale.append(mark);
  }
  return scale;
}
