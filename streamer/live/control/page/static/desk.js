// The whole desk: a strip a stem, the master, the last ten seconds, and the run around them.

import { element } from "./dom.js";
import { eachFrame } from "./frames.js";
import { KEYS, Keys } from "./keys.js";
import { Lanes } from "./lanes.js";
import { Learning, addressAt } from "./learning.js";
import { Devices, Links, helpDialog } from "./panels.js";
import { steppedDb } from "./scale.js";
import { Scenes } from "./scenes.js";
import { Figures, StateLine } from "./status.js";
import { Strip, colourOf } from "./strip.js";
import { valueSwitch } from "./switch.js";
import { Transport } from "./transport.js";

const TABS = [
  ["mix", "Mix"],
  ["scenes", "Scenes"],
  ["links", "Pages"],
  ["run", "Run"],
];

export class Desk {
  #values;
  #act;
  #acts = new Set();
  #strips = [];
  #master = null;
  #chosen = 0;
  #stems = [];
  #shape = "";
  #lanes = null;
  #main = element("main");
  #parts = null;
  #dryPlace = element("div");
  #learning;

  /** `act(address, value)` does what is no value, such as saving a scene; `say` shows a sentence. */
  constructor(values, act, say) {
    this.#values = values;
    this.#act = act;
    this.figures = new Figures();
    this.state = new StateLine();
    this.dialog = helpDialog(KEYS, Keys.switch());
    const help = element(
      "button",
      { type: "button", class: "quiet help-button", "aria-label": "keys and gestures", click: () => this.help() },
      "?",
    );
    const title = element("h1", {}, "stemstream");
    const role = element("p", { class: "role" }, "view only");
    const header = element("header", { class: "bar" }, title, this.state.node, role, this.figures.node, help, this.#dryPlace);
    this.node = element("div", { class: "desk" }, header, this.#main, tabs(), this.dialog);
    this.#learning = new Learning(this.node, act, say);
    this.keys = new Keys(this);
    eachFrame((now) => {
      for (const strip of this.#strips) strip.meter.draw(now);
      this.#parts?.devices.draw(now);
    });
  }

  /** It may be another run that speaks from now on. */
  begin() {
    this.#lanes?.forget();
  }

  /** Take the whole state: first, after each reconnection, and where a scene has other listeners. */
  show(state) {
    const writable = state.writable.filter((address) => !address.startsWith("/listener/"));
    const shape = JSON.stringify([state.stems, writable]);
    // what is built anew loses the focus, and the finger that is on it
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#stems = state.stems;
      this.#build();
    }
    document.body.dataset.role = state.role;
    this.#acts = new Set(state.acts);
    this.#learning.button.hidden = !this.#acts.has("/midi/learn");
    this.#values.replace(state.values);
    this.#parts.links.show(state.links ?? []);
    this.showStatus(state.status);
  }

  showStatus(status) {
    this.state.show(status);
    this.figures.show(status);
    const { scenes, transport, devices } = this.#parts;
    transport.showSong(status);
    transport.showRecording(status);
    scenes.show(status.scenes);
    devices.showStatus(status);
    this.#master.meter.countClips(firstPair(status.clips));
  }

  showMeters({ stems, outputs }) {
    const now = performance.now();
    for (const strip of this.#strips) {
      const levels = strip === this.#master ? firstPair(outputs) : [stems[strip.name]];
      if (levels?.[0]) strip.meter.feed(levels, now);
    }
    this.#parts.devices.feed(outputs, now);
  }

  showPeaks({ stems, start, rate }) {
    for (const [stem, peaks] of Object.entries(stems)) this.#lanes.feed(stem, start, rate, peaks);
  }

  restyle() {
    this.#lanes?.restyle();
    for (const strip of this.#strips) strip.meter.restyle();
    this.#parts?.devices.restyle();
  }

  // what keys do; each returns whether there was something to do

  choose(by) {
    const count = this.#strips.length;
    const focused = this.#strips.findIndex((strip) => strip.node.contains(document.activeElement));
    this.#strips[focused < 0 ? this.#chosen : (focused + by + count) % count].focus();
    return true;
  }

  nudge(db) {
    return this.#nudge(this.#strips[this.#chosen], db);
  }

  level(db) {
    this.#values.set(this.#strips[this.#chosen].addresses.gain, db);
    return true;
  }

  nudgeMaster(db) {
    return this.#nudge(this.#master, db);
  }

  flip(index, which) {
    if (index >= this.#stems.length) return false;
    this.#choose(index);
    this.#strips[index].flip(which);
    return true;
  }

  flipChosen(which) {
    this.#strips[this.#chosen].flip(which);
    return true;
  }

  toggleDry() {
    this.#parts.dry.click();
    return true;
  }

  toggleRecord() {
    this.#parts.transport.record.click();
    return true;
  }

  togglePlay() {
    const { play } = this.#parts.transport;
    if (!play.isConnected) return false;
    play.click();
    return true;
  }

  /** Let a MIDI controller learn what has the focus; else the level of the strip that had it last. */
  learn() {
    if (!this.#acts.has("/midi/learn")) return false;
    this.#learning.learn(addressAt(document.activeElement) ?? this.#strips[this.#chosen].addresses.gain);
    return true;
  }

  help() {
    this.dialog.showModal();
    return true;
  }

  #nudge(strip, db) {
    this.#values.set(strip.addresses.gain, steppedDb(strip.fader.value, db));
    return true;
  }

  #choose(index) {
    this.#chosen = index;
    this.#strips.forEach((strip, at) => strip.node.toggleAttribute("data-chosen", at === index));
  }

  #build() {
    const values = this.#values;
    values.unwatch();
    this.#lanes?.stop();
    this.#lanes = new Lanes(this.#stems);
    const made = (name, colour, addresses) => new Strip({ name, colour, addresses, values });
    this.#strips = this.#stems.map((stem) => {
      const [gain, mute, solo, pan] = ["gain", "mute", "solo", "pan"].map((one) => `/stem/${stem}/${one}`);
      return made(stem, colourOf(stem), { gain, mute, solo, pan });
    });
    this.#master = made("master", null, { gain: "/master/gain" });
    this.#master.node.classList.add("master");
    this.#strips.push(this.#master);
    this.#strips.forEach((strip, index) => strip.node.addEventListener("focusin", () => this.#choose(index)));
    const title = "Panic switch: the mix as it came in (d)";
    const dry = valueSwitch(values, "/dry", "dry: the mix as it came in", { class: "dry", title }, "Dry");
    this.#dryPlace.replaceChildren(dry);
    values.watch("/dry", (on) => document.body.toggleAttribute("data-dry", Boolean(on)));
    for (const stem of this.#stems) {
      for (const which of ["mute", "solo"]) values.watch(`/stem/${stem}/${which}`, () => this.#dim());
    }
    const scenes = new Scenes(values, this.#act);
    const transport = new Transport(values);
    const [links, devices] = [new Links(), new Devices(this.#learning.button)];
    this.#parts = { dry, scenes, transport, links, devices };
    const strips = element("section", { class: "strips", "aria-label": "Faders" }, ...this.#strips.map((one) => one.node));
    this.#main.replaceChildren(
      element("div", { class: "mixing" }, this.#lanes.node, strips),
      element("div", { class: "side" }, scenes.node, links.node, devices.node),
      transport.node,
    );
    this.#choose(Math.min(this.#chosen, this.#strips.length - 1));
  }

  /** Draw those that mute and solo let nobody hear as silent as they are. */
  #dim() {
    const shown = (stem, which) => Boolean(this.#values.shown(`/stem/${stem}/${which}`));
    const anySolo = this.#stems.some((stem) => shown(stem, "solo"));
    this.#stems.forEach((stem, index) => {
      const isSilent = shown(stem, "mute") || (anySolo && !shown(stem, "solo"));
      this.#strips[index].node.toggleAttribute("data-silent", isSilent);
      this.#lanes.dim(stem, isSilent);
    });
  }
}

/** What the master shows of all outputs: the first two channels of the first one. */
const firstPair = (outputs) => (Object.values(outputs)[0] ?? []).slice(0, 2);

function tabs() {
  const buttons = TABS.map(([name, label]) =>
    element("button", { type: "button", "data-name": name, click: () => choose(name) }, label),
  );
  function choose(name) {
    document.body.dataset.tab = name;
    for (const button of buttons) {
      button.setAttribute("aria-current", button.dataset.name === name ? "page" : "false");
    }
    scrollTo(0, 0);
  }
  choose("mix");
  return element("nav", { class: "tabs", "aria-label": "Parts of the desk" }, ...buttons);
}
