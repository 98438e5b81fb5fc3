// Below the faders: for a file play, pause and the place in the song; record.

import { element, write } from "./dom.js";
import { clock, roughly, spokenTime } from "./scale.js";
import { Slider } from "./slider.js";
import { valueSwitch } from "./switch.js";

const [PLAY, POSITION, RECORD] = ["/transport/play", "/transport/position", "/record"];
const HEARD_MS = 1500; // so long after the delay at the latest a new place is heard
const END_SECONDS = 1; // a place nearer to the song's end would end the run
const NEAR_SECONDS = 0.8;

export class Transport {
  #values;
  #seek = null;
  #length = null;
  #wanted = 0;
  #isTouched = false;
  #waitsUntil = 0;
  #delayMs = 0;
  #place = element("span", { class: "number place" }, "0:00");
  #song = element("div", { class: "song", hidden: true });
  #time = element("span", { class: "number take-time" });
  #left = element("span", { class: "dim" });
  #words = element("span", { class: "dim words" });

  constructor(values) {
    this.#values = values;
    const dot = element("span", { class: "dot", "aria-hidden": "true" });
    const record = { class: "record", title: "record (r)" };
    this.record = valueSwitch(values, RECORD, "record", record, dot, element("span", {}, "Record"));
    const sign = element("span", { class: "play-sign", "aria-hidden": "true" });
    this.play = valueSwitch(values, PLAY, "play", { class: "play", title: "play or pause (space)" }, sign);
    this.node = element(
      "section",
      { class: "transport", "aria-label": "Recording and song" },
      this.#song,
      element("div", { class: "recording" }, this.record, this.#time, this.#left, this.#words),
    );
  }

  /** Show where in the song it is, and how long that is, in seconds; null where that is not known. */
  showSong({ song_seconds: position, song_length_seconds: length, delay_seconds: delay }) {
    this.#delayMs = 1000 * delay;
    this.#song.hidden = position === null;
    if (position === null || this.#isTouched || this.#isOld(position)) return;
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

  #go() {
    if (this.#values.mayWrite(POSITION)) {
      this.#waitsUntil = performance.now() + this.#delayMs + HEARD_MS;
      write(this.#place, clock(this.#wanted));
    }
    this.#values.set(POSITION, this.#wanted);
  }

  /** A new place is heard a moment later; until then the old one is no news. */
  #isOld(position) {
    const isThere = Math.abs(position - this.#wanted) < NEAR_SECONDS;
    if (isThere) this.#waitsUntil = 0;
    return performance.now() < this.#waitsUntil;
  }

  #build(length) {
    this.#length = length;
    this.#seek = new Slider(songRange(length || 1), {
      kind: "seek",
      label: "place in the song",
      isAbsolute: true,
      tell: (seconds) => {
        this.#wanted = seconds;
        if (this.#isTouched) write(this.#place, clock(seconds));
        else this.#go();
      },
      hold: () => {
        this.#isTouched = true;
        this.#wanted = this.#seek.value;
      },
      release: () => {
        this.#isTouched = false;
        this.#go();
      },
    });
    this.#seek.lock(!this.#values.mayWrite(POSITION));
    this.#seek.node.hidden = !length; // a stream: nobody knows where its end is
    const total = element("span", { class: "number total" }, length ? clock(length) : "");
    this.#song.replaceChildren(this.play, this.#place, this.#seek.node, total);
  }
}

const songRange = (length, last = Math.max(0, length - END_SECONDS)) => ({
  min: 0,
  max: last,
  rest: null, // a song has no place that is better than the others
  step: 5,
  fineStep: 1,
  bigStep: 30,
  end: last,
  stepped: (seconds, by) => seconds + by,
  position: (seconds) => seconds / length,
  value: (position) => position * length,
  rounded: (seconds) => Math.min(last, Math.max(0, Math.round(seconds * 10) / 10)),
  spoken: (seconds) => `${spokenTime(seconds)} of ${spokenTime(length)}`,
});
