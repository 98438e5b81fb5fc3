// The lanes of all stems over one time: what comes late is seen to come late.

import { element } from "./dom.js";
import { eachFrame, isCalm } from "./frames.js";
import { colourOf } from "./strip.js";
import { SHOWN_SECONDS, Wave, WaveClock } from "./waves.js";

export class Lanes {
  #waves = new Map();
  #clock = new WaveClock();

  constructor(stems) {
    const lanes = stems.map((stem) => {
      const wave = new Wave();
      this.#waves.set(stem, wave);
      return element(
        "div",
        { class: "lane", "data-colour": colourOf(stem) },
        element("span", { class: "lane-name", title: stem }, stem),
        wave.node,
      );
    });
    const times = element("div", { class: "times", "aria-hidden": "true" });
    for (const seconds of [SHOWN_SECONDS, SHOWN_SECONDS / 2]) {
      times.append(element("span", {}, `${seconds} s ago`));
    }
    times.append(element("span", {}, "now"));
    this.node = element(
      "section",
      { class: "lanes", "aria-label": "The last ten seconds of each stem, drawn" },
      ...lanes,
      times,
    );
    this.stop = eachFrame((now) => this.#draw(now));
  }

  feed(stem, start, rate, peaks) {
    this.#waves.get(stem)?.feed(start, rate, peaks);
  }

  /** It may be another run that speaks now. */
  forget() {
    for (const wave of this.#waves.values()) wave.forget();
  }

  dim(stem, isSilent) {
    this.#waves.get(stem).node.parentElement.toggleAttribute("data-silent", isSilent);
  }

  restyle() {
    for (const wave of this.#waves.values()) wave.restyle();
  }

  #draw(now) {
    const newest = [...this.#waves.values()].reduce((best, one) => (one.end > best.end ? one : best));
    if (!newest.rate) return;
    const at = isCalm() ? newest.end : this.#clock.read(newest.end, newest.rate, now);
    for (const wave of this.#waves.values()) wave.draw(at);
  }
}
