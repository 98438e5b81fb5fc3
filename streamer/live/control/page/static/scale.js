// Decibels: along a fader, as text, and spoken.

export const OFF_DB = -90;
export const MAX_DB = 12;
const MINUS = "\u2212";

// Where a level lies on the fader, from 0 (bottom) to 1. Fine around 0 dB, coarse below, as on a
// Behringer X32: 0 dB at three quarters, -10 dB in the middle.
const FADER = [
  [0, OFF_DB],
  [0.0625, -60],
  [0.25, -30],
  [0.5, -10],
  [0.75, 0],
  [1, MAX_DB],
];
// The scale of a peak programme meter, IEC 60268-18.
const METER = [
  [0, -60],
  [0.15, -40],
  [0.3, -30],
  [0.5, -20],
  [0.75, -10],
  [1, 0],
];

export const FADER_MARKS = [MAX_DB, 5, 0, -5, -10, -20, -30, -40, -60, OFF_DB];
export const METER_MARKS = [0, -10, -20, -30, -40, -60];

export const faderPosition = (db) => along(FADER, db, 1, 0);
export const faderDb = (position) => along(FADER, position, 0, 1);
export const meterPosition = (db) => along(METER, db, 1, 0);

/** Go along a line of straight pieces from column `from` to column `to`. */
function along(line, value, from, to) {
  if (!(value > line[0][from])) return line[0][to];
  for (let piece = 1; piece < line.length; piece++) {
    const [low, high] = [line[piece - 1], line[piece]];
    if (value <= high[from]) {
      const share = (value - low[from]) / (high[from] - low[from]);
      return low[to] + share * (high[to] - low[to]);
    }
  }
  return line.at(-1)[to];
}

export const roundedDb = (db) => Math.min(MAX_DB, Math.max(OFF_DB, Math.round(db * 10) / 10));

/** Move a level by a key. A step of 1 dB is one of 3 dB far below, where a dB is little. */
export function steppedDb(db, by) {
  if (by > 0 && db < -60) return -60;
  const isLow = db < -30 || (db === -30 && by < 0);
  const moved = roundedDb(db + by * (isLow && Math.abs(by) === 1 ? 3 : 1));
  return moved < -60 ? OFF_DB : moved;
}

/** "−6.0", "+3.5", "0.0", "−∞": at most five characters. */
export function shownDb(db) {
  if (db <= OFF_DB) return `${MINUS}\u221e`;
  const text = Math.abs(db).toFixed(1);
  return text === "0.0" ? text : (db < 0 ? MINUS : "+") + text;
}

/** "minus 6 decibels": what a screen reader says. */
export function spokenDb(db) {
  if (db <= OFF_DB) return "off";
  const size = Math.abs(Math.round(db * 10) / 10);
  const sign = size === 0 ? "" : db < 0 ? "minus " : "plus ";
  return `${sign}${size} ${size === 1 ? "decibel" : "decibels"}`;
}

export function shownPan(pan) {
  const share = Math.round(Math.abs(pan) * 100);
  return share === 0 ? "C" : `${pan < 0 ? "L" : "R"}${share}`;
}

export function spokenPan(pan) {
  const share = Math.round(Math.abs(pan) * 100);
  return share === 0 ? "centre" : `${share} percent ${pan < 0 ? "left" : "right"}`;
}

/** "3:05" or "1:02:05". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

export function spokenTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const counted = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  return `${counted(Math.floor(whole / 60), "minute")} ${counted(whole % 60, "second")}`;
}

/** "3 h 20 min": about how long. */
export function roughly(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 6000) return "over 100 h";
  return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes} min`;
}
