// WCAG 2.2 contrast, from computed styles: what of a page is too faint to be read, or seen.
() => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const ground = (node) =>
    node === null ? [255, 255, 255, 1] : over(rgba(getComputedStyle(node).backgroundColor), ground(node.parentElement));
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((one) => {
      const share = one / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const opacity = (node) => (node ? getComputedStyle(node).opacity * opacity(node.parentElement) : 1);
  const faint = [];
  const check = (what, found, needed) => found < needed && faint.push(`${what}: ${found.toFixed(2)} < ${needed}`);
  const isIdle = (node) => node.closest(":disabled, [aria-disabled=true]") !== null;
  const read = (node, text, style) => {
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const [red, green, blue, alpha] = rgba(style.color);
    const ink = over([red, green, blue, alpha * opacity(node)], ground(node));
    check(text, ratio(ink, ground(node)), isLarge ? 3 : 4.5);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || isIdle(node) || !node.checkVisibility({ visibilityProperty: true })) continue;
    read(node, text, getComputedStyle(node));
    count += 1;
  }
  for (const node of document.querySelectorAll("input[placeholder]")) {
    read(node, node.placeholder, getComputedStyle(node, "::placeholder"));
  }
  const style = getComputedStyle(document.body);
  const token = (name) => rgba(style.getPropertyValue(name));
  const seen = (name, on) => check(`${name} on ${on}`, ratio(token(name), token(on)), 3);
  for (const name of ["low", "mid", "high"]) seen(`--meter-${name}`, "--meter-slot");
  for (const on of ["--bg", "--panel", "--raised"]) seen("--focus", on);
  for (let colour = 0; colour < 8; colour++) {
    seen(`--c${colour}`, "--slot");
    seen(`--c${colour}`, "--panel");
  }
  return { count, faint };
};
