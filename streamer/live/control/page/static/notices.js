// What the page says of itself: whether it is connected, and what was refused.

import { element, write } from "./dom.js";

const SHOWN_MS = 7000;

const REFUSALS = {
  401: "This page is not let in any more. Scan its QR code again.",
  404: "The scene that plays has no mix of that name.",
  1013: "Too many pages are open. Close one of them.",
};

/** The line that is there while the connection is not. All old values are grey meanwhile. */
export function connectionNotice(connection) {
  const text = element("span");
  const now = element("button", { type: "button", click: () => connection.open() }, "Try now");
  const node = element("div", { class: "notice" }, text, now);
  const live = element("p", { class: "unseen", role: "status" });
  let wasOpen = false;

  function tell() {
    const isOpen = connection.state === "open";
    document.body.dataset.connection = isOpen ? "open" : wasOpen ? "lost" : "first";
    const seconds = Math.max(0, Math.ceil((connection.nextAt - Date.now()) / 1000));
    const lost = wasOpen ? "Connection lost. What you see is old." : "No connection yet.";
    const what = REFUSALS[connection.refusal] ?? lost;
    const next = connection.state === "waiting" ? `Next try in ${seconds} s.` : "Trying now.";
    write(text, isOpen ? "" : `${what} ${next}`);
    // without the seconds: nobody wants to hear a countdown
    write(live, isOpen ? "Connected." : `${what} It is tried again until it works.`);
    now.hidden = connection.state !== "waiting";
    node.hidden = isOpen || (!wasOpen && connection.state === "connecting");
    wasOpen ||= isOpen;
  }

  connection.addEventListener("change", tell);
  setInterval(tell, 500);
  tell();
  return [node, live];
}

/** Short messages, such as why something was refused; each goes by itself. */
export class Toasts {
  node = element("div", { class: "toasts", role: "alert" });

  say(sentence) {
    for (const shown of this.node.children) if (shown.textContent === sentence) return;
    const toast = element("p", { class: "toast" }, sentence);
    toast.addEventListener("click", () => toast.remove());
    this.node.append(toast);
    while (this.node.children.length > 3) this.node.firstChild.remove();
    setTimeout(() => toast.remove(), SHOWN_MS);
  }
}
