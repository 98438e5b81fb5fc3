// Where the page begins: which one it is, and what each message goes to.

import { Connection } from "./connection.js";
import { Desk } from "./desk.js";
import { Mix } from "./mix.js";
import { Toasts, connectionNotice } from "./notices.js";
import { Values } from "./values.js";

const PROTOCOL_VERSION = 1;

const listener = /^\/mix\/(.+)$/.exec(location.pathname)?.[1];
const named = listener?.replace(/[&+]/g, encodeURIComponent); // the other signs stand for themselves
const address = new URL(named ? `/control?mix=${named}` : "/control", location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const toasts = new Toasts();
const connection = new Connection(address);
const say = (sentence) => toasts.say(sentence);
const values = new Values(
  (where, value) => connection.send({ set: where, value }),
  () => say("This page only shows the mix. The desk can change it."),
);
const act = (what, value = null) => connection.send({ act: what, value });
const page = listener ? new Mix(values) : new Desk(values, act, say);

const handlers = {
  state(message) {
    if (message.version !== PROTOCOL_VERSION) location.reload(); // the program is a newer one
    values.allow(message.writable);
    page.show(message);
  },
  values: (message) => values.receive(message.values),
  meters: (message) => page.showMeters(message),
  peaks: (message) => page.showPeaks(message),
  status: (message) => page.showStatus(message),
  error(message) {
    say(message.sentence);
    values.refuse(message.address);
  },
};

connection.addEventListener("open", () => page.begin());
connection.addEventListener("message", ({ detail }) => handlers[detail.type]?.(detail));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.restyle());
document.body.append(...connectionNotice(connection), page.node, toasts.node);
connection.open();
