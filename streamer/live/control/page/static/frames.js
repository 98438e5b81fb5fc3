// One loop for all that moves. It rests while nobody looks, and goes slowly for those who asked
// their system for less motion.

const CALM_MS = 250;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const drawers = new Set();
let lastCalm = 0;

/** Call `draw(milliseconds)` each frame; returns a function that ends that. */
export function eachFrame(draw) {
  drawers.add(draw);
  return () => drawers.delete(draw);
}

export const isCalm = () => calm.matches;

function frame(now) {
  requestAnimationFrame(frame);
  if (calm.matches && now - lastCalm < CALM_MS) return;
  lastCalm = now;
  for (const draw of drawers) draw(now);
}

requestAnimationFrame(frame);
