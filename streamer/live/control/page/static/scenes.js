// Scenes by name: recall, save as, rename.

import { element } from "./dom.js";
import { panel } from "./panels.js";

const RECALL = "/scene/recall";

export class Scenes {
  #list = element("ul", { class: "rows" });
  #empty = element("p", { class: "hint" }, "No scene yet.");
  #rows = new Map(); // by name
  #values;
  #act;
  #mayChange;
  #newName = "";

  /**
   * `act(address, value)` does what is no value, and returns whether it could be sent. A page that may
   * not recall sees the names alone.
   */
  constructor(values, act) {
    this.#values = values;
    this.#act = act;
    this.#mayChange = values.mayWrite(RECALL);
    this.node = panel("Scenes", "scenes", this.#empty, this.#list, this.#mayChange ? this.#saving() : null);
    values.watch(RECALL, () => this.#mark());
  }

  show(names) {
    if (JSON.stringify(names) === JSON.stringify([...this.#rows.keys()])) return;
    const focused = this.#list.contains(document.activeElement) ? document.activeElement : null;
    this.#rows = new Map(names.map((name) => [name, this.#rows.get(name) ?? this.#row(name)]));
    this.#empty.hidden = names.length > 0;
    this.#list.replaceChildren(...this.#rows.values());
    // the focus stays, and goes along to a new name
    const next = focused?.isConnected ? focused : focused && this.#recall(this.#newName);
    next?.focus();
    this.#mark();
  }

  #mark() {
    const current = this.#values.shown(RECALL);
    for (const name of this.#rows.keys()) {
      this.#recall(name)?.setAttribute("aria-current", name === current ? "true" : "false");
    }
  }

  #recall(name) {
    return this.#rows.get(name)?.querySelector(".wide");
  }

  #saving() {
    const name = field("name of the new scene", "New scene");
    const submit = (event) => {
      event.preventDefault();
      const given = name.value.trim();
      if (!given || this.#act("/scene/save", given)) name.value = "";
    };
    return element("form", { class: "line", submit }, name, element("button", { type: "submit" }, "Save as"));
  }

  #row(name) {
    const row = element("li", { class: "line" });
    const recall = button(`recall ${name}`, name, "wide", () => this.#values.set(RECALL, name));
    if (!this.#mayChange) recall.setAttribute("aria-disabled", "true");
    const rename = button(`rename ${name}`, "Rename", "quiet", () => {
      const form = this.#renaming(name, () => row.replaceChildren(recall, rename));
      row.replaceChildren(form);
      form.querySelector("input").select();
    });
    row.append(recall, ...(this.#mayChange ? [rename] : []));
    return row;
  }

  /** Ask for another name; `end()` brings the row back as it was. */
  #renaming(name, end) {
    const input = field(`new name of ${name}`, name);
    input.value = name;
    const close = () => {
      end();
      this.#recall(name).focus();
      this.#mark();
    };
    const given = {
      class: "line wide",
      submit: (event) => {
        event.preventDefault();
        this.#newName = input.value.trim();
        const isNew = this.#newName && this.#newName !== name;
        if (!isNew || this.#act("/scene/rename", [name, this.#newName])) close();
      },
      keydown: (event) => event.key === "Escape" && close(),
    };
    return element("form", given, input, element("button", { type: "submit" }, "Rename"));
  }
}

function button(label, text, kind, click) {
  return element("button", { type: "button", class: kind, "aria-label": label, click }, text);
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
