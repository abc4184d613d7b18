/** One device: all its last values, and the course of one of them. */

import { byId, h, mark, say } from "./dom.js";
import { ask } from "./live.js";
import { attempt } from "./people.js";
import { Plot } from "./plot.js";
import { ranked } from "./tiles.js";
import { duration, invalid, quantity, token, unit, when } from "./words.js";

/** @typedef {import("./state.js").State} State */

const SPANS = /** @type {[string, number][]} */ ([["15 min", 900], ["1 h", 3600], ["6 h", 21600], ["1 day", 86400], ["7 days", 604800], ["30 days", 2592000]]);
const FOLLOW = 5000; // ms between looks while the plot ends now

export class DeviceView {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.id = "";
    this.quantity = "";
    this.span = 3600;
    /** @type {[number, number] | null} a window a person has chosen; null follows the present */ this.window = null;
    this.asking = 0;
    this.plot = new Plot((from, to) => {
      this.window = to > from ? [from, to] : null;
      this.load();
    });
    this.spans = h("div", { class: "spans", role: "group", "aria-label": "Time shown" }, ...SPANS.map(([word, seconds]) =>
      h("button", { type: "button", "data-span": seconds, click: () => this.choose(seconds) }, word)));
    byId("device-plot").append(this.spans, this.plot.element);
    setInterval(() => byId("device").open && !this.window && !this.plot.pressed && this.load(), FOLLOW);
  }

  /** @param {string} id @param {string} wanted */
  show(id, wanted) {
    this.id = id;
    this.quantity = wanted || this.#values()[0]?.quantity || "";
    this.window = null;
    this.span = this.#reach();
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
    this.draw();
    this.load();
  }

  async load() {
    const now = this.state.now();
    const [from, to] = this.window ?? [now - this.span, now];
    for (const button of this.spans.children) mark(button, "aria-pressed", String(!this.window && Number(button.getAttribute("data-span")) === this.span));
    const turn = ++this.asking;
    const query = new URLSearchParams({
      device: this.id,
      quantity: this.quantity,
      since: new Date(from * 1000).toISOString(),
      until: new Date(to * 1000 + 1).toISOString(),
      points: String(Math.max(100, Math.round(this.plot.element.clientWidth / 2))),
    });
    const answer = this.quantity && (await attempt(() => ask(`/api/v1/series?${query}`)));
    if (!answer || turn !== this.asking) return;
    const limits = (this.#device()?.limits ?? []).filter((limit) => limit.quantity === "*" || limit.quantity === this.quantity);
    const points = answer.points.map((/** @type {number[]} */ [time, low, mean, high]) => ({ time, low, mean, high }));
    const joined = this.state.values.get(this.id)?.get(this.quantity)?.kind === "reading";
    this.plot.show(from, to, { unit: unit(answer.unit), width: answer.bucket, points, limits, joined }, quantity(this.quantity));
  }
}
