// The panels beside the faders: scenes, pages for listeners, outputs.

import { element, write } from "./dom.js";
import { Meter } from "./meter.js";

export function panel(title, name, ...content) {
  return element("section", { class: `panel ${name}`, "aria-labelledby": `${name}-title` },
    element("h2", { id: `${name}-title` }, title), ...content);
}

const RECALL = "/scene/recall";

/** Scenes by name: recall, save as, rename. `act(address, value)` does what is no value. */
export class Scenes {
  #list = element("ul", { class: "rows" });
  #empty = element("p", { class: "hint" }, "No scene yet. Save the mix as it is now:");
  #values;
  #act;
  #names = [];
  #current = "";
  #renamed = "";

  constructor(values, act) {
    this.#values = values;
    this.#act = act;
    values.watch(RECALL, (name) => {
      this.#current = name;
      this.#draw();
    });
    const name = field("name of the new scene", "New scene");
    const submit = (event) => {
      event.preventDefault();
      if (name.value.trim()) act("/scene/save", name.value.trim());
      name.value = "";
    };
    const save = element("form", { class: "line", submit }, name, element("button", { type: "submit" }, "Save as"));
    this.node = panel("Scenes", "scenes", this.#empty, this.#list, save);
  }

  show(names) {
    if (JSON.stringify(names) === JSON.stringify(this.#names)) return;
    this.#names = names;
    this.#draw();
  }

  #draw() {
    this.#empty.hidden = this.#names.length > 0;
    const rows = this.#names.map((name) => (name === this.#renamed ? this.#form(name) : this.#row(name)));
    this.#list.replaceChildren(...rows.map((row) => element("li", {}, row)));
  }

  #row(name) {
    const recall = {
      type: "button",
      class: "wide",
      "aria-label": `recall ${name}`,
      "aria-current": name === this.#current ? "true" : null,
      click: () => this.#values.set(RECALL, name),
    };
    const rename = {
      type: "button",
      class: "quiet",
      "aria-label": `rename ${name}`,
      click: () => this.#rename(name),
    };
    return element("div", { class: "line" }, element("button", recall, name), element("button", rename, "Rename"));
  }

  #rename(name) {
    this.#renamed = name;
    this.#draw();
    this.#list.querySelector("input")?.select();
  }

  #form(name) {
    const input = field(`new name of ${name}`, name);
    input.value = name;
    const given = {
      class: "line",
      submit: (event) => {
        event.preventDefault();
        const wanted = input.value.trim();
        if (wanted && wanted !== name) this.#act("/scene/rename", [name, wanted]);
        this.#rename("");
      },
      keydown: (event) => event.key === "Escape" && this.#rename(""),
    };
    return element("form", given, input, element("button", { type: "submit" }, "Rename"));
  }
}

function field(label, placeholder) {
  return element("input", {
    type: "text",
    "aria-label": label,
    placeholder,
    maxlength: 64,
    autocomplete: "off",
    spellcheck: "false",
    enterkeyhint: "done",
  });
}

/** Pages for others: a link and a QR code each. */
export class Links {
  #list = element("ul", { class: "rows" });
  #dialog = element("dialog", { class: "code", "aria-labelledby": "code-title" });
  #shown = "";

  constructor() {
    this.node = panel("Pages for others", "links", this.#list, this.#dialog);
    this.#dialog.addEventListener("click", () => this.#dialog.close());
  }

  show(links) {
    const now = JSON.stringify(links);
    if (now === this.#shown) return;
    this.#shown = now;
    this.node.hidden = links.length === 0;
    this.#list.replaceChildren(
      ...links.map((link) =>
        element(
          "li",
          { class: "line" },
          element("a", { class: "wide", href: link.path }, named(link)),
          element(
            "button",
            { type: "button", "aria-label": `QR code for ${named(link)}`, click: () => this.#open(link) },
            "QR",
          ),
        ),
      ),
    );
  }

  #open(link) {
    this.#dialog.replaceChildren(
      element("h2", { id: "code-title" }, named(link)),
      element("img", { src: link.qr, alt: `QR code of the page for ${named(link)}`, width: 280, height: 280 }),
      element("p", {}, "Scan it with a phone that is in the same network, or type ", element("span", { class: "url" }, link.url)),
      element("button", { type: "button" }, "Close"),
    );
    this.#dialog.showModal();
  }
}

const named = ({ name }) => ({ desk: "The whole desk", viewer: "To watch only" })[name] ?? name;

/** The output devices: whether they are there, and the meters of their channels. */
export class Outputs {
  #list = element("ul", { class: "rows" });
  #rows = new Map();

  constructor() {
    this.node = panel("Outputs", "outputs", this.#list);
  }

  /** `outputs`: by name, a pair of peak and RMS for each channel. */
  feed(outputs, now) {
    for (const [name, levels] of Object.entries(outputs)) {
      if (!this.#rows.has(name)) this.#add(name);
      this.#rows.get(name).meter.feed(levels, now);
    }
  }

  showStatus({ reason, detail, clips }) {
    for (const [name, { row, word, meter }] of this.#rows) {
      const isLost = reason !== "" && detail.includes(name);
      row.dataset.state = isLost ? "lost" : "running";
      write(word, isLost ? "not there" : "");
      meter.countClips(clips[name] ?? []);
    }
  }

  draw(now) {
    for (const { meter } of this.#rows.values()) meter.draw(now);
  }

  restyle() {
    for (const { meter } of this.#rows.values()) meter.restyle();
  }

  #add(name) {
    const meter = new Meter(name);
    const word = element("span", { class: "dim" });
    const row = element(
      "li",
      { class: "output", "data-state": "running" },
      element("span", { class: "line" }, element("span", { class: "lamp", "aria-hidden": "true" }), element("span", { class: "wide" }, name), word),
      element("span", { class: "meter-box" }, meter.lamp, meter.node),
    );
    this.#rows.set(name, { row, word, meter });
    this.#list.append(row);
  }
}

/** The help for keys, and a switch for them. */
export function helpDialog(keys, keySwitch) {
  const rows = keys.map(([key, what]) => element("div", {}, element("dt", {}, key), element("dd", {}, what)));
  const dialog = element(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    element("h2", { id: "help-title" }, "Keys and gestures"),
    element("dl", {}, ...rows),
    element("p", {}, "Drag a fader from any point of it; it never jumps. Move slowly for fine steps. Tap twice for 0 dB."),
    keySwitch,
    element("button", { type: "button", click: () => dialog.close() }, "Close"),
  );
  return dialog;
}

