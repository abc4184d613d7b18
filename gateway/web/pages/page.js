/** The technicians' page: connects the live data with what is drawn. */

import { Alarms } from "./alarms.js";
import { Care } from "./care.js";
import { DeviceView } from "./device.js";
import { byId, mark, say } from "./dom.js";
import { quarantine, stores } from "./lists.js";
import { Live } from "./live.js";
import * as people from "./people.js";
import { Quality } from "./quality.js";
import { Results } from "./results.js";
import { inSight, State, withoutData } from "./state.js";
import { Tiles } from "./tiles.js";
import { clock, counted } from "./words.js";

const READ_EVERY = 10_000; // ms between looks at what does not come by itself

const state = new State();
const view = new DeviceView(state);
const show = (/** @type {string} */ device, /** @type {string} */ quantity) => view.show(device, quantity);
const alarms = new Alarms(state, show);
const tiles = new Tiles(state, show);
const results = new Results(state);
const quality = new Quality(state);
const care = new Care(state, alarms);

/** @type {Set<string> | null} devices to draw; null for all */
let changed = new Set();
let waiting = false;

/** Draw once a frame, however much has come. @param {Set<string> | null} more */
function soon(more) {
  changed = changed && more ? new Set([...changed, ...more]) : null;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function draw() {
  waiting = false;
  const now = changed;
  changed = new Set();
  alarms.draw();
  tiles.draw(now);
  results.draw();
  view.draw();
  care.draw();
  stores(state);
  head();
  tick();
}

function head() {
  const { devices } = state;
  const inAlarm = new Set(state.alarms.filter(inSight).map((alarm) => alarm.device));
  const alarmed = devices.filter((device) => inAlarm.has(device.id)).length;
  const silent = devices.filter((device) => withoutData(device, state.values.get(device.id))).length;
  say(byId("site"), state.site || "assaygate");
  say(byId("counts"), `${counted(devices.length, "device", "devices")} · ${alarmed} in alarm · ${silent} without data`);
  const title = `${alarmed ? `(${alarmed}) ` : ""}${state.site || "assaygate"}`;
  if (document.title !== title) document.title = title;
  const troubles = state.failing.filter((one) => !one.part.startsWith("device:") && !one.part.startsWith("sink:"));
  byId("failing").hidden = troubles.length === 0;
  say(byId("failing"), troubles.map((one) => `${one.part}: ${one.detail}`).join("; "));
}

/** @param {Date | null} since */
function old(since) {
  const bar = byId("old");
  if (since) say(bar, state.seq || state.devices.length ? `Values are old since ${clock(since)}. Trying to reach the gateway.` : "The gateway does not answer. Trying again.");
  bar.hidden = !since;
  document.body.classList.toggle("is-old", Boolean(since));
  mark(byId("live"), "data-live", since ? "no" : "yes");
  say(byId("live-word"), since ? "not connected" : "live");
}

function tick() {
  tiles.tick();
  say(byId("clock"), clock(new Date(state.now() * 1000)));
}

function look() {
  quarantine();
  quality.read();
  care.read();
}

people.start();
new Live((message) => {
  soon(state.take(message));
  quality.take(message);
}, old);
setInterval(tick, 1000);
setInterval(look, READ_EVERY);
addEventListener("visibilitychange", look);
look();
