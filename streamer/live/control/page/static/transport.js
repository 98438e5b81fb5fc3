// Below the faders: for a file play, pause and the place in the song; record.

import { element, toggle, write } from "./dom.js";
import { clock, roughly, spokenTime } from "./scale.js";
import { Slider } from "./slider.js";

const [PLAY, POSITION, RECORD] = ["/transport/play", "/transport/position", "/record"];

export class Transport {
  #values;
  #mayWrite;
  #seek = null;
  #length = null;
  #wanted = 0;
  #isTouched = false;
  #place = element("span", { class: "number place" }, "0:00");
  #song = element("div", { class: "song", hidden: true });
  #time = element("span", { class: "number take-time" });
  #left = element("span", { class: "dim" });
  #words = element("span", { class: "dim words" });

  /** `values` are the `Values`, `mayWrite(address)` tells whether this page may set one. */
  constructor(values, mayWrite) {
    this.#values = values;
    this.#mayWrite = mayWrite;
    const dot = element("span", { class: "dot", "aria-hidden": "true" });
    this.record = this.#switch(RECORD, "record", "record (r)", dot, element("span", {}, "Record"));
    this.play = this.#switch(PLAY, "play", "play or pause (space)", element("span", { class: "play-sign", "aria-hidden": "true" }));
    values.watch(PLAY, (on) => this.play.setAttribute("aria-label", on ? "pause" : "play"));
    this.node = element(
      "section",
      { class: "transport", "aria-label": "Recording and song" },
      this.#song,
      element("div", { class: "recording" }, this.record, this.#time, this.#left, this.#words),
    );
  }

  /** Show where in the song it is, and how long that is, in seconds; null where that is not known. */
  showSong(position, length) {
    this.#song.hidden = position === null;
    if (position === null || this.#isTouched) return;
    if (this.#seek === null || length !== this.#length) this.#build(length);
    write(this.#place, clock(position));
    if (length) this.#seek.show(Math.min(position, length));
  }

  /** Show how much is recorded, how long the disk will last, and what the run says of it. */
  showRecording({ recording, recording_seconds: taken, recording_left_seconds: left }) {
    const isOn = Boolean(recording);
    write(this.#time, isOn && taken !== null ? clock(taken) : "");
    write(this.#left, isOn && left !== null ? `${roughly(left)} left on the disk` : "");
    write(this.#words, recording);
  }

  #switch(address, name, title, ...content) {
    const button = toggle(
      name,
      { class: name, title, disabled: !this.#mayWrite(address) },
      (on) => this.#values.set(address, on ? 1 : 0),
      ...content,
    );
    this.#values.watch(address, (on) => button.show(on));
    return button;
  }

  #build(length) {
    this.#length = length;
    this.#seek = new Slider(songRange(length || 1), {
      kind: "seek",
      label: "place in the song",
      isAbsolute: true,
      tell: (seconds) => {
        this.#wanted = seconds;
        write(this.#place, clock(seconds));
        if (!this.#isTouched) this.#values.set(POSITION, seconds);
      },
      hold: () => {
        this.#isTouched = true;
        this.#wanted = this.#seek.value;
      },
      release: () => {
        this.#isTouched = false;
        this.#values.set(POSITION, this.#wanted);
      },
    });
    this.#seek.lock(!length || !this.#mayWrite(POSITION));
    const total = element("span", { class: "number total" }, length ? clock(length) : "");
    this.#song.replaceChildren(this.play, this.#place, this.#seek.node, total);
  }
}

const songRange = (length) => ({
  min: 0,
  max: length,
  rest: null, // a song has no place that is better than the others
  step: 5,
  fineStep: 1,
  bigStep: 30,
  end: length,
  stepped: (seconds, by) => seconds + by,
  position: (seconds) => seconds / length,
  value: (position) => position * length,
  rounded: (seconds) => Math.min(length, Math.max(0, Math.round(seconds * 10) / 10)),
  spoken: (seconds) => `${spokenTime(seconds)} of ${spokenTime(length)}`,
});
