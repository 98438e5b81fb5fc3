// The run in figures: state, delay, load, dry share, what went wrong, devices.

import { element, write } from "./dom.js";

const percent = (share) => {
  const value = share * 100;
  return value > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0);
};

// name, unit, how to read it from a status, and from when on it is a warning
const FIGURES = [
  ["Delay", "ms", (status) => (status.delay_seconds * 1000).toFixed(0), () => false],
  ["Load", "%", (status) => percent(status.load), (status) => status.load > 0.9],
  ["Dry", "%", (status) => percent(status.dry_share), (status) => status.dry_share > 0.01],
  ["Missed", "", (status) => String(status.deadline_misses), (status) => status.deadline_misses > 0],
  ["Xruns", "", (status) => String(status.xruns), (status) => status.xruns > 0],
];
const WORDS = {
  Delay: "From the input to the output, devices included",
  Load: "The model's time over the time of the sound",
  Dry: "Share of the run that played without stems",
  Missed: "Windows that the model had not ready in time",
  Xruns: "Times that a device had no sound, or lost some",
};

/** The figures of the header. */
export class Figures {
  #shown = new Map();

  constructor() {
    this.node = element("dl", { class: "figures" });
    for (const [name, unit] of FIGURES) {
      const value = element("span", { class: "number" }, "\u2013");
      const cell = element(
        "div",
        { class: "figure", "data-name": name.toLowerCase(), title: WORDS[name] },
        element("dt", {}, name),
        element("dd", {}, value, unit ? element("small", {}, unit) : null),
      );
      this.#shown.set(name, [cell, value]);
      this.node.append(cell);
    }
  }

  show(status) {
    for (const [name, , read, isWarning] of FIGURES) {
      const [cell, value] = this.#shown.get(name);
      write(value, read(status));
      cell.toggleAttribute("data-warn", isWarning(status));
    }
  }
}

/** The state in words, with its lamp. */
export class StateLine {
  #word = element("span", { class: "state-word" });
  #why = element("span", { class: "state-why" });

  constructor() {
    this.node = element(
      "p",
      { class: "state", role: "status" },
      element("span", { class: "lamp", "aria-hidden": "true" }),
      this.#word,
      this.#why,
    );
  }

  show(status) {
    const why = [status.reason, status.detail].filter(Boolean).join(": ");
    this.node.dataset.state = status.state.split(" ")[0];
    write(this.#word, status.state);
    write(this.#why, why);
    this.node.title = why || status.state;
  }
}
