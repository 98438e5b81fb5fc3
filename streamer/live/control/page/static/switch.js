// A button for a value that is 0 or 1.

import { toggle } from "./dom.js";

/**
 * Return a button that shows and sets the value at an address. Where this page may not set it, the
 * button can be read and reached all the same, and a press is answered.
 */
export function valueSwitch(values, address, label, given, ...content) {
  const button = toggle(
    label,
    { "data-address": address, "aria-disabled": values.mayWrite(address) ? null : "true", ...given },
    (on) => values.set(address, on ? 1 : 0),
    ...content,
  );
  values.watch(address, (on) => button.show(on));
  return button;
}
