// The panels beside the faders: pages for others, devices, help.

import { element, write } from "./dom.js";
import { Meter } from "./meter.js";

export function panel(title, name, ...content) {
  return element("section", { class: `panel ${name}`, "aria-labelledby": `${name}-title` },
    element("h2", { id: `${name}-title` }, title), ...content);
}

/** Pages for others: a link and a QR code each. */
export class Links {
  #list = element("ul", { class: "rows" });
  #dialog = element("dialog", { class: "code", "aria-labelledby": "code-title" });
  #shown = "";

  constructor() {
    this.node = panel("Pages for others", "links", this.#list, this.#dialog);
    // beside it is its backdrop
    this.#dialog.addEventListener("click", ({ target }) => target === this.#dialog && this.#dialog.close());
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
          // this browser is the desk: here a viewer's page would be the desk, too
          link.name === "viewer" && !isMix(link)
            ? element("span", { class: "wide" }, named(link))
            : element("a", { class: "wide", href: link.path }, named(link)),
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
      element("button", { type: "button", click: () => this.#dialog.close() }, "Close"),
    );
    this.#dialog.showModal();
  }
}

/** Whether a link is a listener's, who may have any name. */
const isMix = ({ path }) => path.startsWith("/mix/");
const named = (link) => (isMix(link) ? link.name : { desk: "The whole desk", viewer: "To watch only" }[link.name]);

/** The sound devices: whether each is there, and the meters of those that play. */
export class Devices {
  #list = element("ul", { class: "rows" });
  #rows = [];
  #shape = "";

  /** `learn` is the button for MIDI controllers: devices, too. */
  constructor(learn) {
    this.node = panel("Devices", "devices", this.#list, learn);
  }

  /** `outputs`: by name, a pair of peak and RMS for each channel. */
  feed(outputs, now) {
    for (const { name, meter } of this.#rows) if (outputs[name]) meter?.feed(outputs[name], now);
  }

  showStatus({ devices, clips }) {
    const shape = JSON.stringify(devices.map(({ name, output_channels: channels }) => [name, channels]));
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#rows = devices.map(row);
      this.#list.replaceChildren(...this.#rows.map(({ node }) => node));
    }
    devices.forEach((device, index) => {
      const { node, ways, why, meter } = this.#rows[index];
      const isGone = device.state === "gone";
      node.dataset.state = isGone ? "lost" : device.state;
      write(ways, isGone ? "not there" : waysOf(device));
      write(why, isGone ? device.trouble : "");
      meter?.countClips(clips[device.name] ?? []);
    });
  }

  draw(now) {
    for (const { meter } of this.#rows) meter?.draw(now);
  }

  restyle() {
    for (const { meter } of this.#rows) meter?.restyle();
  }
}

function row({ name, output_channels: channels }) {
  const [ways, why] = [element("span", { class: "dim" }), element("p", { class: "dim why" })];
  const meter = channels > 0 ? new Meter(name) : null;
  const lamp = element("span", { class: "lamp", "aria-hidden": "true" });
  const node = element(
    "li",
    { class: "device" },
    element("div", { class: "line" }, lamp, element("span", { class: "wide", title: name }, name), ways),
    why,
    meter && element("div", { class: "meter-box" }, meter.lamp, meter.node),
  );
  meter?.node.style.setProperty("--channels", channels);
  return { name, node, ways, why, meter };
}

/** "2 in, 8 out" */
function waysOf({ input_channels: taken, output_channels: played }) {
  return [taken && `${taken} in`, played && `${played} out`].filter(Boolean).join(", ");
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

