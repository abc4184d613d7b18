// @ts-check
/** The technicians' page: one live connection, a snapshot and then what changes. */
import { ageText, element, timeText, valueElement, valueText } from "./words.js";
import { spark, trend } from "./plot.js";

const OLD_AFTER = 4500; // ms without a sign of life
const SPARK_POINTS = 60, RESULTS = 100;
const MARKS = /** @type {Record<string, string>} */ ({ critical: "▲", high: "▲", medium: "◆", low: "●" });

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const state = {
  devices: /** @type {any[]} */ ([]), alarms: /** @type {any[]} */ ([]), sinks: /** @type {any[]} */ ([]),
  failing: /** @type {any[]} */ ([]), results: /** @type {any[]} */ ([]),
  values: /** @type {Map<string, Map<string, any>>} */ (new Map()),
  sparks: /** @type {Map<string, [number, number][]>} */ (new Map()),
  site: "", lastSign: 0, view: "overview",
};
const tiles = /** @type {Map<string, HTMLElement>} */ (new Map());
const dirty = /** @type {Set<string>} */ (new Set());

// ---- the connection

let wait = 500, socket = /** @type {WebSocket | null} */ (null);

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
  socket.onmessage = (event) => { state.lastSign = performance.now(); receive(JSON.parse(event.data)); };
  socket.onopen = () => { wait = 500; };
  socket.onclose = () => { socket = null; setTimeout(connect, wait * (0.5 + Math.random())); wait = Math.min(wait * 2, 10000); showLife(); };
}

/** @param {any} message */
function receive(message) {
  switch (message.type) {
    case "snapshot":
      Object.assign(state, { devices: message.devices, alarms: message.alarms, sinks: message.sinks, failing: message.failing, site: message.site });
      state.results = message.results;
      state.values.clear(); state.sparks.clear();
      for (const item of message.values) keep(item);
      for (const [device, all] of Object.entries(message.sparks))
        for (const [quantity, points] of Object.entries(/** @type {any} */ (all))) state.sparks.set(`${device}\n${quantity}`, /** @type {any} */ (points));
      layout(); showAlarms(); showResults(); showHealth(); countQuarantine();
      break;
    case "delta":
      for (const item of message.items) {
        keep(item);
        const key = `${item.device}\n${item.quantity}`;
        if (typeof item.value === "number") {
          const points = state.sparks.get(key) ?? [];
          points.push([Date.parse(item.time) / 1000, item.value]);
          if (points.length > SPARK_POINTS) points.shift();
          state.sparks.set(key, points);
        }
        if (item.kind === "result" || item.kind === "qc") state.results.push(item);
        dirty.add(item.device);
      }
      if (state.results.length > RESULTS) state.results.splice(0, state.results.length - RESULTS);
      if (message.items.some((/** @type {any} */ i) => i.kind === "result" || i.kind === "qc")) showResults();
      break;
    case "alarms":
      state.alarms = message.items;
      showAlarms();
      for (const device of state.devices) dirty.add(device.id);
      break;
    case "beat":
      Object.assign(state, { devices: message.devices, sinks: message.sinks, failing: message.failing });
      if (message.devices.length !== tiles.size || message.devices.some((/** @type {any} */ d) => !tiles.has(d.id))) layout();
      for (const device of state.devices) dirty.add(device.id);
      showHealth();
      break;
  }
  showLife();
  requestAnimationFrame(paint);
}

/** @param {any} item */
function keep(item) {
  let all = state.values.get(item.device);
  if (!all) state.values.set(item.device, (all = new Map()));
  const before = all.get(item.quantity);
  // What is measured later counts, whenever it arrived.
  if (!before || Date.parse(item.time) >= Date.parse(before.time)) { all.delete(item.quantity); all.set(item.quantity, item); }
}

function showLife() {
  const silent = state.lastSign && performance.now() - state.lastSign > OLD_AFTER;
  const live = socket?.readyState === WebSocket.OPEN && !silent;
  $("mark").classList.toggle("off", !live);
  $("link").textContent = live ? "live" : "not connected";
  const old = $("old");
  if (silent && old.hidden) old.textContent = `⚠ Values are old since ${timeText(Date.now() - (performance.now() - state.lastSign))}: no connection to the gateway`;
  old.hidden = !silent;
}

// ---- devices

function layout() {
  const rooms = /** @type {Map<string, any[]>} */ (new Map());
  for (const device of state.devices) rooms.set(device.room, [...(rooms.get(device.room) ?? []), device]);
  tiles.clear();
  const sections = [];
  for (const [room, devices] of rooms) {
    const grid = element("div", "tiles");
    for (const device of devices) {
      const tile = element("button", "tile");
      tile.setAttribute("type", "button");
      tile.dataset.device = device.id;
      tile.addEventListener("click", () => openDevice(device.id));
      tiles.set(device.id, tile);
      seen.observe(tile);
      grid.append(tile);
      dirty.add(device.id);
    }
    sections.push(element("h2", "room", room || "Devices"), grid);
  }
  $("rooms").replaceChildren(...sections);
  paint();
}

/** Tiles on the screen; only they are drawn. */
const visible = /** @type {Set<string>} */ (new Set());
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const id = /** @type {HTMLElement} */ (entry.target).dataset.device ?? "";
    if (entry.isIntersecting) { visible.add(id); dirty.add(id); } else visible.delete(id);
  }
  paint();
});

const GRAVITY = ["critical", "high", "medium", "low"];

/** @param {any[]} alarms @returns {any} the gravest alarm that asks for eyes */
function gravest(alarms) {
  const open = alarms.filter((a) => a.state !== "shelved");
  return open.sort((a, b) => GRAVITY.indexOf(a.priority) - GRAVITY.indexOf(b.priority))[0];
}

function paint() {
  for (const id of dirty) {
    const tile = tiles.get(id), device = state.devices.find((d) => d.id === id);
    if (!tile || !device || !(visible.has(id) || !tile.childElementCount)) continue;
    paintTile(tile, device);
    dirty.delete(id);
  }
  const silent = state.devices.filter((d) => !state.values.has(d.id)).length;
  const alarmed = new Set(state.alarms.filter((a) => a.device && a.state !== "shelved").map((a) => a.device)).size;
  const shelved = state.alarms.filter((a) => a.state === "shelved").length;
  $("counts").textContent = `${state.devices.length} devices · ${alarmed} in alarm · ${silent} without data` + (shelved ? ` · ${shelved} shelved` : "");
  $("site").textContent = state.site || "assaygate";
}

/** @param {HTMLElement} tile @param {any} device */
function paintTile(tile, device) {
  const items = [...(state.values.get(device.id)?.values() ?? [])];
  const shown = items[items.length - 1];
  const primary = items.find((i) => typeof i.value === "number" && i.quantity === "temperature") ?? items.find((i) => i.kind === "reading" && typeof i.value === "number") ?? shown;
  const alarm = gravest(state.alarms.filter((a) => a.device === device.id));
  const lost = device.state === "waiting" || device.state === "stopped";
  tile.className = `tile${alarm && alarm.state !== "acknowledged" ? ` alarmed ${alarm.priority}` : ""}${lost || !primary ? " lost" : ""}`;
  const inside = [element("span", "name", device.label)];
  if (primary) {
    inside.push(element("span", `value${typeof primary.value === "number" ? "" : " words"}`, valueElement(primary)));
    const label = element("span", "more", primary.quantity.replaceAll("-", " "));
    if (primary.specimen) label.append(` ${primary.specimen}`);
    inside.push(label);
    const others = items.filter((i) => i !== primary && i.kind === primary.kind && i.kind === "reading").slice(-3);
    if (others.length) inside.push(element("span", "more", ...others.map((i) => { const one = element("span", "", valueElement(i)); one.title = i.quantity; return one; })));
    const points = state.sparks.get(`${device.id}\n${primary.quantity}`);
    if (points && points.length > 1) inside.push(/** @type {any} */ (spark(points)));
  } else inside.push(element("span", "value", "—"));
  const foot = element("span", "foot");
  if (alarm) foot.append(tag(alarm));
  else if (lost) foot.append(element("span", "tag low", "⧗ NOT CONNECTED"));
  else if (!primary) foot.append(element("span", "tag quiet", "⧗ NO DATA"));
  else if (primary.quality !== "good") foot.append(element("span", "tag medium", `◆ ${primary.quality.toUpperCase()}`));
  if (primary) foot.append(element("span", "", ageText((Date.now() - Date.parse(primary.received)) / 1000)));
  inside.push(foot);
  tile.replaceChildren(...inside);
}

/** @param {any} alarm */
function tag(alarm) {
  const quiet = alarm.state === "acknowledged" || alarm.state === "shelved" ? " quiet" : "";
  const word = alarm.state === "returned-unacknowledged" ? "RETURNED" : alarm.priority.toUpperCase();
  return element("span", `tag ${alarm.priority}${quiet}`, `${MARKS[alarm.priority]} ${word}`);
}

// ---- alarms

function showAlarms() {
  const rows = state.alarms.map((alarm) => {
    const row = element("article", `alarm ${alarm.state}`);
    row.dataset.alarm = alarm.id;
    const what = element("span", "what", `${alarm.title}: ${alarm.explanation}`);
    if (alarm.text) what.append(element("div", "soft", alarm.text));
    if (alarm.acknowledged_by) what.append(element("div", "soft", `seen by ${alarm.acknowledged_by} ${alarm.comment}`));
    if (alarm.state === "shelved") what.append(element("div", "soft", `shelved by ${alarm.shelved_by} until ${timeText(alarm.shelved_until)}: ${alarm.shelve_reason}`));
    const device = state.devices.find((d) => d.id === alarm.device);
    const doing = element("span", "do");
    if (alarm.state === "unacknowledged" || alarm.state === "returned-unacknowledged") doing.append(button("Acknowledge", () => ask(alarm, "acknowledge")));
    doing.append(alarm.state === "shelved" ? button("Unshelve", () => ask(alarm, "unshelve")) : button("Shelve", () => ask(alarm, "shelve")));
    row.append(tag(alarm), element("strong", "", device?.label ?? alarm.device), what, element("span", "since soft", `since ${timeText(alarm.raised)}`), doing);
    return row;
  });
  $("alarms").replaceChildren(...(rows.length ? [element("h2", "", "Alarms"), ...rows] : []));
}

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const made = element("button", "", text);
  made.setAttribute("type", "button");
  made.addEventListener("click", act);
  return made;
}

/** @param {any} alarm @param {"acknowledge" | "shelve" | "unshelve"} act */
function ask(alarm, act) {
  const dialog = /** @type {HTMLDialogElement} */ ($("ask"));
  const by = /** @type {HTMLInputElement} */ ($("ask-by")), text = /** @type {HTMLInputElement} */ ($("ask-text"));
  const minutes = /** @type {HTMLInputElement} */ ($("ask-minutes"));
  $("ask-title").textContent = `${act[0].toUpperCase()}${act.slice(1)}: ${alarm.title}`;
  by.value = localStorage.getItem("by") ?? "";
  text.value = "";
  text.required = act === "shelve";
  const label = /** @type {HTMLElement} */ ($("ask-text-label").firstElementChild);
  label.textContent = act === "shelve" ? "Reason" : "Comment";
  $("ask-text-label").hidden = act === "unshelve";
  $("ask-minutes-label").hidden = act !== "shelve";
  $("ask-error").textContent = "";
  $("ask-cancel").onclick = () => dialog.close();
  $("ask-form").onsubmit = async (event) => {
    event.preventDefault();
    localStorage.setItem("by", by.value);
    const body = act === "acknowledge" ? { by: by.value, comment: text.value } : act === "shelve" ? { by: by.value, reason: text.value, minutes: Number(minutes.value) } : { by: by.value };
    const answer = await fetch(`/api/v1/alarms/${encodeURIComponent(alarm.id)}/${act}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const said = await answer.json();
    if (answer.ok) { state.alarms = said.items; showAlarms(); dialog.close(); } else $("ask-error").textContent = said.error;
  };
  dialog.showModal();
}

// ---- results and their stories

function showResults() {
  const rows = state.results.slice(-RESULTS).reverse().slice(0, state.view === "results" ? RESULTS : 25).map((item) => {
    const row = element("tr", item.interpretation === "invalid" ? "invalid" : "");
    row.tabIndex = 0;
    const call = item.interpretation && valueText(item).toLowerCase() !== item.interpretation ? ` (${item.interpretation})` : "";
    const value = element("td", "", valueElement(item), call);
    if (item.interpretation === "invalid") value.prepend("✕ ");
    const device = state.devices.find((d) => d.id === item.device);
    row.append(cell(timeText(item.time)), cell(device?.label ?? item.device), cell(item.specimen ?? ""), cell(item.quantity + (item.kind === "qc" ? " (QC)" : "")), value, cell(item.flags.join(" ")), cell(item.quality === "good" ? "" : item.quality));
    row.addEventListener("click", () => openStory(item));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") openStory(item); });
    return row;
  });
  const body = /** @type {HTMLTableElement} */ ($("results")).tBodies[0];
  body.replaceChildren(...rows);
}

/** @param {string} text @param {string} [style] */
const cell = (text, style = "") => element("td", style, text);

/** @param {any} item */
async function openStory(item) {
  const list = element("dl");
  const add = (/** @type {string} */ name, /** @type {any} */ value) => {
    if (value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)) return;
    list.append(element("dt", "", name.replaceAll("_", " ")), element("dd", "", value instanceof Node ? value : typeof value === "object" ? JSON.stringify(value) : String(value)));
  };
  add("result", valueElement(item));
  for (const name of ["interpretation", "code", "specimen", "patient", "operator", "lot", "lot_expiry", "run", "flags", "status", "quality", "time", "device_time", "received", "uid", "seq"]) add(name, item[name]);
  for (const [name, value] of Object.entries(item.attributes)) add(name, value);
  const bytes = element("pre", "", "…");
  show(element("h2", "", `${item.device}: ${item.quantity}`), list, element("h2", "", "As it was sent"), bytes);
  const answer = await fetch(`/api/v1/raw/${item.raw}`);
  bytes.textContent = answer.ok ? (await answer.json()).text.replaceAll("<LF>", "<LF>\n") : "no longer kept";
}

/** @param {...Node} inside */
function show(...inside) {
  $("story-body").replaceChildren(...inside);
  const dialog = /** @type {HTMLDialogElement} */ ($("story"));
  if (!dialog.open) dialog.showModal();
}

/** @param {string} id */
function openDevice(id) {
  const device = state.devices.find((d) => d.id === id);
  if (!device) return;
  const plots = [];
  for (const item of state.values.get(id)?.values() ?? []) {
    if (typeof item.value !== "number" || plots.length > 20) continue;
    const limits = device.limits.filter((/** @type {any} */ l) => l.quantity === "*" || l.quantity === item.quantity);
    const plot = trend(id, item.quantity, limits);
    const spans = element("p", "", ...[["10 min", 1 / 6], ["1 h", 1], ["8 h", 8], ["1 d", 24], ["1 week", 168]].map(([text, hours]) => button(String(text), () => plot.show(Number(hours)))));
    plots.push(element("h2", "", item.quantity.replaceAll("-", " "), " ", valueElement(item)), spans, plot.node);
    plot.show(1 / 6);
  }
  const facts = element("p", "soft", `${device.driver} on ${device.link} ${device.address} · ${device.state} ${device.detail} · ${device.messages} messages`);
  show(element("h2", "", device.label), facts, ...plots);
}

// ---- quarantine and health

async function countQuarantine() {
  const answer = await fetch("/api/v1/quarantine");
  if (!answer.ok) return;
  const items = (await answer.json()).items;
  $("quarantined").textContent = items.length ? `(${items.length})` : "";
  const body = /** @type {HTMLTableElement} */ ($("quarantine")).tBodies[0];
  body.replaceChildren(...items.slice(0, 200).map((/** @type {any} */ entry) => {
    const row = element("tr");
    const doing = element("td");
    doing.append(button("Show", async () => {
      const raw = await (await fetch(`/api/v1/raw/${entry.raw}`)).json();
      show(element("h2", "", `${entry.device}: ${entry.reason}`), element("p", "", entry.detail), element("pre", "", raw.text), element("pre", "", raw.hex.replace(/../g, "$& ")));
    }), " ", button("Read again", async () => { await fetch(`/api/v1/quarantine/${entry.id}/retry`, { method: "POST" }); countQuarantine(); }));
    row.append(cell(timeText(entry.at)), cell(entry.device), cell(entry.reason), cell(entry.detail, "wide"), doing);
    return row;
  }));
}

function showHealth() {
  $("failing").replaceChildren(...(state.failing.length ? state.failing.map((f) => element("li", "", `${f.part}: ${f.detail}`)) : [element("li", "soft", "Everything works.")]));
  /** @type {HTMLTableElement} */ ($("sinks")).tBodies[0].replaceChildren(...state.sinks.map((s) => {
    const row = element("tr");
    row.append(cell(s.id), cell(s.connected ? "connected" : "not connected"), cell(s.behind ? `${s.behind} (${Math.round(s.behind_seconds)} s)` : "0"), cell(String(s.delivered)), cell(String(s.refused)), cell(s.last_error, "wide"));
    return row;
  }));
  /** @type {HTMLTableElement} */ ($("links")).tBodies[0].replaceChildren(...state.devices.map((d) => {
    const row = element("tr");
    row.append(cell(d.label), cell(d.driver), cell(`${d.link} ${d.address}`), cell(`${d.state} ${d.state === "waiting" ? d.detail : ""}`, "wide"), cell(String(d.messages)), cell(String(d.refused)), cell(d.last_received ? ageText(Date.now() / 1000 - d.last_received) : "never"));
    return row;
  }));
}

// ---- views and the clock

for (const choice of document.querySelectorAll("nav button")) {
  choice.addEventListener("click", () => {
    state.view = /** @type {HTMLElement} */ (choice).dataset.view ?? "overview";
    for (const other of document.querySelectorAll("nav button")) other.setAttribute("aria-pressed", String(other === choice));
    for (const section of document.querySelectorAll("[data-section]")) /** @type {HTMLElement} */ (section).hidden = !(/** @type {HTMLElement} */ (section).dataset.section ?? "").split(" ").includes(state.view);
    if (state.view === "quarantine") countQuarantine();
    showResults();
  });
}
setInterval(() => {
  $("clock").textContent = new Date().toLocaleTimeString();
  for (const id of visible) dirty.add(id);
  showLife();
  paint();
}, 1000);
setInterval(countQuarantine, 30000);
connect();
