// Elements without innerHTML: what comes over the network is text and never markup.

/** Return a new element. `given` are attributes; functions among them listen, e.g. {click: act}. */
export function element(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Write text, but only where it differs: a screen reader is told of changes alone. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button that is on or off. `tell` gets the wish; what it shows comes by `.show(on)`. */
export function toggle(label, given, tell, ...children) {
  const button = element(
    "button",
    {
      type: "button",
      "aria-label": label,
      "aria-pressed": "false",
      click: () => tell(button.getAttribute("aria-pressed") !== "true"),
      ...given,
    },
    ...children,
  );
  button.show = (on) => button.setAttribute("aria-pressed", String(Boolean(on)));
  return button;
}
