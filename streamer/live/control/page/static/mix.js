// The page of one listener: that person's faders, and "more me".

import { element, toggle, write } from "./dom.js";
import { eachFrame } from "./frames.js";
import { shownDb, spokenDb } from "./scale.js";
import { StateLine } from "./status.js";
import { Strip, colourOf } from "./strip.js";

const MORE_STEP_DB = 1;
const MOST_MORE_DB = 12;

export class Mix {
  #values;
  #strips = [];
  #shape = "";
  #main = element("main", { class: "mix" });

  constructor(values) {
    this.#values = values;
    this.title = element("h1", {}, "");
    this.state = new StateLine();
    this.node = element(
      "div",
      { class: "desk listener" },
      element("header", { class: "bar" }, this.title, this.state.node),
      this.#main,
    );
    eachFrame((now) => {
      for (const strip of this.#strips) strip.meter?.draw(now);
    });
  }

  show(state) {
    const shape = JSON.stringify([state.listener, state.stems, state.writable]);
    if (shape !== this.#shape) this.#build(state);
    this.#shape = shape;
    this.#values.replace(state.values);
    this.showStatus(state.status);
  }

  #build(state) {
    const values = this.#values;
    values.unwatch();
    const home = `/listener/${state.listener}`;
    write(this.title, state.listener);
    document.title = `${state.listener} \u00b7 stemstream`;
    this.#strips = state.stems
      .filter((stem) => `${home}/stem/${stem}/gain` in state.values)
      .map((stem) => {
        const addresses = { gain: `${home}/stem/${stem}/gain`, mute: `${home}/stem/${stem}/mute` };
        return new Strip({ name: stem, colour: colourOf(stem), addresses, values });
      });
    const whole = new Strip({
      name: "everything",
      addresses: { gain: `${home}/gain` },
      values,
      withMeter: false,
    });
    whole.node.classList.add("master");
    const faders = element("section", { class: "strips", "aria-label": "Faders" }, ...this.#strips.map((one) => one.node), whole.node);
    this.#main.replaceChildren(this.#moreMe(home, state.stems), faders);
  }

  showStatus(status) {
    this.state.show(status);
  }

  showMeters({ stems }) {
    for (const strip of this.#strips) {
      if (stems[strip.name]) strip.meter.feed([stems[strip.name]], performance.now());
    }
  }

  begin() {}

  showPeaks() {}

  restyle() {
    for (const strip of this.#strips) strip.meter.restyle();
  }

  #moreMe(home, stems) {
    const values = this.#values;
    const [me, more] = [`${home}/me`, `${home}/more`];
    const number = element("span", { class: "number" }, "0.0");
    const shown = element("output", { class: "more-value" }, number, element("small", {}, "dB"));
    const step = (by) => {
      const now = values.shown(more) ?? 0;
      values.set(more, Math.min(MOST_MORE_DB, Math.max(0, now + by)));
    };
    const button = (label, sign, by) =>
      element(
        "button",
        { type: "button", class: "more-button", "aria-label": label, click: () => step(by) },
        sign,
      );
    values.watch(more, (db) => {
      write(number, shownDb(db));
      shown.setAttribute("aria-label", spokenDb(db));
    });
    const choices = stems.map((stem) => {
      const choice = toggle(
        `I am ${stem}`,
        { class: "choice", "data-colour": colourOf(stem) },
        (on) => values.set(me, on ? stem : ""),
        stem,
      );
      values.watch(me, (now) => choice.show(now === stem));
      return choice;
    });
    return element(
      "section",
      { class: "more", "aria-labelledby": "more-title" },
      element("h2", { id: "more-title" }, "More me"),
      element("div", { class: "choices", role: "group", "aria-label": "Who I am" }, ...choices),
      element("div", { class: "more-line" }, button("less me", "\u2212", -MORE_STEP_DB), shown, button("more me", "+", MORE_STEP_DB)),
    );
  }
}
