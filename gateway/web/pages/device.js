/** One device: all its last values, and the course of one of them. */

import { byId, h, mark, say } from "./dom.js";
import { ask } from "./live.js";
import { attempt } from "./people.js";
import { Plot } from "./plot.js";
import { ranked } from "./tiles.js";
import { duration, invalid, quantity, token, unit, when } from "./words.js";

/** @typedef {import("./state.js").State} State */

const SPANS = /** @type {[string, number][]} */ ([
  ["10 min", 600], ["1 h", 3600], ["8 h", 28800], ["1 day", 86400], ["1 week", 604800], ["1 month", 2592000], ["1 year", 31536000],
]);
const FOLLOW = 5000; // ms between looks while the plot ends now
const SELDOM = 30000; // ms between looks at what moves little: a long time, the alarms of it
const MOST = 480; // buckets: of eight hours, the minutes that the gateway has ready

export class DeviceView {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.id = "";
    this.quantity = "";
    this.span = 3600;
    /** @type {[number, number] | null} a window a person has chosen; null follows the present */ this.window = null;
    this.plot = new Plot((from, to) => {
      this.window = to > from ? [from, to] : null;
      this.load();
    });
    this.spans = h("div", { class: "spans", role: "group", "aria-label": "Time shown" }, ...SPANS.map(([word, seconds]) =>
      h("button", { type: "button", "data-span": seconds, click: () => this.choose(seconds) }, h("bdi", { dir: "ltr" }, word))));
    byId("device-plot").append(this.spans, this.plot.element);
    this.loaded = 0;
    this.waiting = false;
    this.again = false; // what was asked for is no longer what is wanted
    /** @type {{key: string, at: number}} */ this.marked = { key: "", at: 0 };
    setInterval(() => byId("device").open && !this.window && !this.plot.busy && this.follow(), FOLLOW);
  }

  /** @param {string} id @param {string} wanted */
  show(id, wanted) {
    this.id = id;
    this.quantity = wanted || this.#values()[0]?.quantity || "";
    this.window = null;
    this.span = this.#reach();
    this.#forget();
    byId("device").showModal();
    this.draw();
    this.load();
  }

  /** The shortest span that shows all of the sparkline. */
  #reach() {
    const oldest = this.state.sparks.get(this.id)?.get(this.quantity)?.[0]?.[0] ?? 0;
    return SPANS.find(([, seconds]) => seconds >= this.state.now() - oldest)?.[1] ?? SPANS[SPANS.length - 1][1];
  }

  /** @param {number} seconds */
  choose(seconds) {
    this.span = seconds;
    this.window = null;
    this.load();
  }

  #forget() {
    this.plot.wait();
    this.marked.key = "";
  }

  #device() {
    return this.state.devices.find((device) => device.id === this.id);
  }

  #values() {
    const device = this.#device();
    return device ? ranked(device, [...(this.state.values.get(this.id)?.values() ?? [])]) : [];
  }

  draw() {
    const device = this.#device();
    if (!byId("device").open || !device) return;
    say(byId("device-title"), device.label);
    const detail = device.detail ? `: ${device.detail}` : "";
    say(byId("device-link"), `${device.driver} on ${device.address}, ${device.state}${detail}. ${device.messages} messages, ${device.refused} refused. Last heard ${when(device.last_received)}.`);
    const off = Math.round(device.clock_offset ?? 0);
    say(byId("device-clock"), Math.abs(off) < 30 ? "" : `Its clock is ${duration(Math.abs(off))} ${off > 0 ? "ahead" : "behind"}.`);
    const values = this.#values();
    const list = byId("device-values");
    const key = JSON.stringify([this.id, this.quantity, values.map((seen) => seen.uid)]);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    const focused = document.activeElement?.getAttribute("data-quantity");
    list.replaceChildren(...values.map((seen) => h(
      "button",
      { type: "button", class: invalid(seen) ? "value invalid" : "value", "data-quantity": seen.quantity, "aria-pressed": String(seen.quantity === this.quantity), click: () => this.pick(seen.quantity) },
      h("span", { class: "of" }, quantity(seen.quantity)), token(seen), h("span", { class: "hint" }, when(seen.time), seen.quality === "good" ? "" : ` ${seen.quality}`),
    )));
    if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`[data-quantity="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {string} name */
  pick(name) {
    this.quantity = name;
    this.window = null;
    this.#forget();
    this.draw();
    this.load();
  }

  /** Look again, of a long time seldom: a bucket of it is hours. */
  follow() {
    const due = this.span > 86400 ? SELDOM : 0;
    if (!this.waiting && Date.now() - this.loaded >= due) this.load();
  }

  /** One question at a time, however fast a wheel turns; the last one always. */
  async load() {
    this.again = this.waiting;
    if (this.waiting) return;
    this.waiting = true;
    try {
      do {
        this.again = false;
        await this.#ask();
      } while (this.again);
    } finally {
      this.waiting = false;
    }
  }

  async #ask() {
    const now = this.state.now();
    const [from, to] = this.window ?? [now - this.span, now];
    for (const button of this.spans.children) mark(button, "aria-pressed", String(!this.window && Number(button.getAttribute("data-span")) === this.span));
    const until = Math.floor(to * 1000) + 1;
    const query = new URLSearchParams({
      device: this.id,
      quantity: this.quantity,
      since: new Date(until - Math.round((to - from) * 1000)).toISOString(),
      until: new Date(until).toISOString(),
      points: String(Math.min(MOST, Math.max(100, Math.round(this.plot.element.clientWidth / 2)))),
    });
    const answer = this.quantity ? await attempt(() => ask(`/api/v1/series?${query}`)) : { unit: null, bucket: 1, points: [] };
    this.loaded = Date.now();
    if (!answer || this.again || this.plot.busy) return;
    const limits = (this.#device()?.limits ?? []).filter((limit) => limit.quantity === "*" || limit.quantity === this.quantity);
    const points = answer.points.map((/** @type {[number, number, number | null, number]} */ [time, low, mean, high]) => ({ time, low, mean, high }));
    const joined = this.state.values.get(this.id)?.get(this.quantity)?.kind === "reading";
    this.plot.show(from, to, { unit: unit(answer.unit), width: answer.bucket, points, limits, joined }, quantity(this.quantity));
    this.#mark(from, to);
  }

  /** The alarms of the time shown, once the values are there. @param {number} from @param {number} to */
  async #mark(from, to) {
    const key = JSON.stringify([this.id, this.quantity, this.window ?? this.span, this.state.alarms.map((alarm) => [alarm.id, alarm.state])]);
    const due = to - from > 86400 ? 10 * SELDOM : SELDOM; // a year's are looked for among everything that was done in it
    if (key === this.marked.key && Date.now() - this.marked.at < due) return;
    this.marked = { key, at: Date.now() };
    const query = new URLSearchParams({ alarm: `*.${this.id.replace(/[*?[]/g, "[$&]")}*`, since: new Date(from * 1000).toISOString(), until: new Date(to * 1000 + 1).toISOString(), limit: "10000" });
    const answer = await attempt(() => ask(`/api/v1/alarms/history?${query}`));
    if (this.marked.key !== key) return;
    if (answer) this.plot.mark(spells(answer.items, this.state.alarms, this.id, this.quantity, from, to));
    else this.marked.key = "";
  }
}

/**
 * From when to when each alarm of a quantity was on, of its transitions and of what is on now.
 * @param {{alarm: string, device: string, time: string, transition: string, why: string}[]} told oldest first
 * @param {import("./state.js").Alarm[]} open
 * @param {string} device @param {string} name of the quantity @param {number} from @param {number} to unix seconds
 * @returns {import("./plot.js").Spell[]}
 */
function spells(told, open, device, name, from, to) {
  const ends = [`.${device}`, `.${device}.${name}`];
  /** @type {Map<string, import("./plot.js").Spell>} */ const on = new Map();
  const found = [];
  for (const { alarm, time, transition, why } of told) {
    const end = ends.find((one) => alarm.endsWith(one));
    if (!end || (transition !== "raised" && transition !== "cleared")) continue;
    const at = Date.parse(time) / 1000;
    let spell = on.get(alarm);
    if (transition === "raised") {
      spell = { alarm: alarm.slice(0, -end.length), why, from: at, to, raised: true, cleared: false };
      on.set(alarm, spell);
      found.push(spell);
    } else {
      if (!spell) found.push((spell = { alarm: alarm.slice(0, -end.length), why, from, to, raised: false, cleared: false }));
      Object.assign(spell, { to: at, cleared: true });
      on.delete(alarm);
    }
  }
  for (const alarm of open) {
    const raised = Date.parse(alarm.raised ?? "") / 1000;
    if (alarm.device === device && (!alarm.quantity || alarm.quantity === name) && !alarm.cleared && raised < from)
      found.push({ alarm: alarm.alarm, why: alarm.explanation, from, to, raised: false, cleared: false });
  }
  return found;
}
