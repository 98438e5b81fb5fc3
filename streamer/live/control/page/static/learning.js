// MIDI learn: touch a control of this page, then move one of the controller.

import { toggle } from "./dom.js";

export class Learning {
  button;
  #act;
  #say;

  /** `desk` has the controls; `act` sends the wish and returns whether it could; `say` shows a sentence. */
  constructor(desk, act, say) {
    this.#act = act;
    this.#say = say;
    const title = "Let a MIDI controller learn (l)";
    this.button = toggle("learn MIDI", { class: "learn", title }, (on) => this.#wait(on), "Learn MIDI");
    // before the controls themselves: what is touched now must not move
    desk.addEventListener("pointerdown", (event) => addressAt(event.target) && this.#stop(event), true);
    desk.addEventListener("click", (event) => this.#touched(event), true);
    desk.addEventListener("keydown", (event) => event.key === "Escape" && this.#wait(false), true);
  }

  /** Let the control that moves next move this address. */
  learn(address) {
    if (!this.#act("/midi/learn", address)) return;
    this.#say(`Now move a knob or press a button of the MIDI controller: it will move ${address}.`);
  }

  get #isWaiting() {
    return document.body.hasAttribute("data-learning");
  }

  #wait(on) {
    document.body.toggleAttribute("data-learning", on);
    this.button.show(on);
    if (on) this.#say("Touch the fader or button that a MIDI control is to move.");
  }

  #stop(event) {
    if (!this.#isWaiting) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #touched(event) {
    const address = addressAt(event.target);
    if (!this.#isWaiting || !address) return;
    this.#stop(event);
    this.#wait(false);
    this.learn(address);
  }
}

/** The address of the control that a node belongs to, if it does. */
export const addressAt = (node) => node.closest("[data-address]")?.dataset.address;
