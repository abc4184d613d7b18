/** Quality control: how each control stands, its Levey-Jennings chart, and what people decide of it. */

import { byId, h, say } from "./dom.js";
import { ask, Refusal } from "./live.js";
import { attempt, filled, person, REASON, tell } from "./people.js";
import { cell, fill, moment, table } from "./table.js";
import { Waiting } from "./waiting.js";
import { figures, quantity, unit, when } from "./words.js";

/** @typedef {import("./state.js").State} State */

/**
 * @typedef {object} Control
 * @property {string} id
 * @property {string} device
 * @property {string} quantity
 * @property {string} level
 * @property {string} lot
 * @property {string | null} unit
 * @property {string | null} verdict
 * @property {string[]} rules
 * @property {string | null} time
 * @property {string} trouble
 * @property {string} why
 * @property {number} at_risk
 * @property {number} n
 * @property {number | null} mean
 * @property {number | null} own_sd
 * @property {number | null} cv
 * @property {number | null} sigma
 */

/**
 * @typedef {object} Point
 * @property {number} seq
 * @property {string} device
 * @property {string} time
 * @property {number | string | null} value
 * @property {string | null} interpretation
 * @property {string} lot
 * @property {number | null} z
 * @property {string} verdict
 * @property {string[]} rules
 * @property {string | null} why
 * @property {{by: string, why: string, at: string} | null} reviewed
 */

const TOGETHER = 500; // ms between two readings while much comes
const MOST_ROWS = 200; // points in the table beside a chart, newest first
const SPANS = /** @type {[string, string, number][]} */ ([["30d", "30 days", 30], ["90d", "90 days", 90], ["365d", "1 year", 365], ["", "All", Infinity]]);
/** @type {Record<string, string>} the chart's shapes */
const SHAPES = { accepted: "●", warning: "△", rejected: "✕", collecting: "□" };

/** @param {string | null} word */
function verdict(word) {
  if (!word) return h("span", { class: "tag" }, "– not measured");
  return h("span", { class: word === "rejected" ? "tag bad" : "tag" }, `${SHAPES[word] ?? "?"} ${word}`);
}

/** A number and its unit as one token. @param {number | null | undefined} given @param {string | null} [ucum] */
function number(given, ucum) {
  if (given === null || given === undefined) return h("span", { class: "none" }, "–");
  return h("bdi", { dir: "ltr", class: "token" }, figures(Number(given.toPrecision(4))), ucum && h("span", { class: "unit" }, ` ${unit(ucum)}`));
}

/** @param {string[]} names of rules, each one token */
function rules(names) {
  return h("bdi", { dir: "ltr" }, ...names.flatMap((name, place) => [place > 0 && ", ", h("span", { class: "token" }, name)]));
}

/** @param {number | null} given */
function deviation(given) {
  return given === null ? h("span", { class: "none" }, "–") : h("bdi", { dir: "ltr", class: "token" }, `${given > 0 ? "+" : ""}${given.toFixed(2)}`);
}

export class Quality {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.waiting = new Waiting(state);
    /** @type {Control[]} */ this.controls = [];
    /** @type {Map<string, Point>} control, device, time: its last measurement */ this.last = new Map();
    /** @type {Control | null} whose chart is open */ this.open = null;
    this.span = "";
    this.reading = false;
    this.again = false;
  }

  /** Something came that it may be about. @param {any} message of the live connection */
  take(message) {
    const touches = (/** @type {any} */ one) => one.kind === "qc" || ["hold", "critical", "corrects"].some((name) => name in one.attributes);
    if (message.type === "delta" && message.items.some(touches)) this.read();
  }

  /** Read all of it, never twice at once. */
  async read() {
    if (document.hidden) return;
    this.again = true;
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.again) {
        this.again = false;
        this.controls = (await ask("/api/v1/qc")).items;
        await this.#lastOnes();
        await this.waiting.read();
        this.#draw();
        if (this.again) await new Promise((done) => setTimeout(done, TOGETHER));
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // The page says by itself that the gateway does not answer; it is read again before long.
    } finally {
      this.reading = false;
    }
  }

  /** Value and z of the last measurement of each. */
  async #lastOnes() {
    /** @type {Map<string, Point>} */ const last = new Map();
    for (const one of this.controls) {
      if (!one.time) continue;
      const key = JSON.stringify([one.id, one.device, one.time, one.verdict]);
      const query = new URLSearchParams({ device: one.device, since: one.time });
      const point = this.last.get(key) ?? (await ask(`/api/v1/qc/${encodeURIComponent(one.id)}?${query}`)).items.pop();
      if (point) last.set(key, point);
    }
    this.last = last;
  }

  /** @param {string} device */
  #label(device) {
    return this.state.devices.find((one) => one.id === device)?.label ?? device;
  }

  #draw() {
    const shown = this.controls.length > 0 || this.waiting.any;
    byId("quality").hidden = !shown;
    byId("to-quality").hidden = !shown;
    byId("waiting").hidden = !this.waiting.any;
    byId("controls").hidden = this.controls.length === 0;
    const troubled = (/** @type {Control} */ one) => (one.trouble ? 0 : 1);
    const sorted = [...this.controls].sort((one, other) => troubled(one) - troubled(other));
    fill(byId("control-rows"), sorted, (one) => this.#row(one), this.state.devices.map((device) => device.label));
    const open = this.open && this.controls.find((one) => one.id === this.open?.id && one.device === this.open?.device);
    if (byId("chart").open && open && JSON.stringify(open) !== JSON.stringify(this.open)) this.show(open, this.span);
  }

  /** @param {Control} one */
  #row(one) {
    const last = this.last.get(JSON.stringify([one.id, one.device, one.time, one.verdict]));
    const name = `${quantity(one.quantity)} ${one.level}`;
    return h(
      "tr", { class: one.trouble ? "trouble" : "" },
      cell("Control", h("button", { type: "button", class: "link", "aria-label": `Chart of ${name}, ${this.#label(one.device)}`, click: () => this.show(one) }, h("bdi", {}, name)), one.lot && h("bdi", { class: "hint" }, ` lot ${one.lot}`)),
      cell("Device", h("bdi", {}, this.#label(one.device))),
      cell("Last", last && measured(last, one.unit), " ", one.time && moment(one.time, "hint")),
      cell("Verdict", verdict(one.verdict), " ", one.rules.length > 0 && rules(one.rules)),
      cell("z", deviation(last?.z ?? null)),
      cell("n", number(one.n)),
      cell("Mean", number(one.mean, one.unit)),
      cell("SD", number(one.own_sd, one.unit)),
      cell("CV", number(one.cv, "%")),
      cell("Sigma", number(one.sigma)),
      cell(
        "Stands",
        one.trouble ? h("span", { class: "tag bad" }, `✕ ${one.trouble}`) : h("span", { class: "tag" }, one.verdict ? "✓ in order" : "– nothing yet"),
        one.why && h("span", { class: "hint", dir: "auto" }, one.why),
        one.at_risk > 0 && h("span", { class: "hint", dir: "auto" }, ` · ${one.at_risk} results since it was accepted last are to be looked at again.`),
      ),
    );
  }

  // ---- one control

  /** @param {Control} one @param {string} [span] how far back; the shortest that shows its last measurement where not given */
  async show(one, span) {
    const age = one.time ? (this.state.now() - Date.parse(one.time) / 1000) / 86400 : 0;
    const since = (this.span = span ?? SPANS.find(([, , days]) => age < days)?.[0] ?? "");
    this.open = one;
    say(byId("chart-title"), `${quantity(one.quantity)} ${one.level}, ${this.#label(one.device)}`);
    say(byId("chart-about"), [one.lot && `Lot ${one.lot}`, one.trouble && one.why].filter(Boolean).join(". "));
    if (!byId("chart").open) {
      byId("chart-text").replaceChildren(h("p", { class: "calm" }, "Reading…"));
      byId("chart").showModal();
    }
    const query = new URLSearchParams({ device: one.device, ...(since && { since }) });
    const path = `/api/v1/qc/${encodeURIComponent(one.id)}`;
    const answer = await attempt(() => ask(`${path}?${query}`));
    if (answer && this.open === one) this.#fill(one, answer.items.reverse(), `${path}/chart.svg?${query}`);
  }

  /** @param {Control} one @param {Point[]} points newest first @param {string} drawing */
  #fill(one, points, drawing) {
    const focused = document.activeElement?.getAttribute("aria-label");
    const spans = SPANS.map(([since, word]) =>
      h("button", { type: "button", "aria-label": `Shown: ${word}`, "aria-pressed": String(since === this.span), click: () => this.show(one, since) }, word));
    // The newest measurement in its address: a chart is drawn anew when there is more to draw.
    const image = h("img", { src: `${drawing}&at=${points[0]?.seq ?? 0}`, alt: `Levey-Jennings chart of ${points.length} measurements; the table below says the same` });
    // On a phone the newest are what is in sight.
    image.addEventListener("load", () => image.parentElement?.scrollTo({ left: image.clientWidth }));
    const rows = points.slice(0, MOST_ROWS).map((point) => this.#point(point, one));
    byId("chart-text").replaceChildren(
      h("div", { class: "spans", role: "group", "aria-label": "Time shown" }, ...spans, h("button", { type: "button", "aria-label": "Corrective action", click: () => this.#action(one) }, "Corrective action…")),
      h("div", { class: "scroll drawing", tabindex: "0", role: "region", "aria-label": "Chart" }, image),
      table("Measurements", ["Time", "Value", "z", "Verdict", "Rules", "Said of it", "Decide"], rows),
      points.length > MOST_ROWS && h("p", { class: "hint" }, `and ${points.length - MOST_ROWS} older ones`) || "",
    );
    if (focused) /** @type {HTMLElement | null} */ (byId("chart-text").querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Point} point @param {Control} one */
  #point(point, one) {
    const said = point.reviewed ? `${point.reviewed.by}: ${point.reviewed.why}` : point.why;
    return h(
      "tr", {},
      cell("Time", moment(point.time)),
      cell("Value", measured(point, one.unit)),
      cell("z", deviation(point.z)),
      cell("Verdict", verdict(point.verdict)),
      cell("Rules", point.rules.length > 0 && rules(point.rules)),
      cell("Said of it", said && h("bdi", {}, said)),
      h("td", {}, h("button", { type: "button", "aria-label": `Decide on the measurement of ${when(point.time)}, ${point.seq}`, click: () => this.#review(point, one) }, "Decide…")),
    );
  }

  /** @param {Point} point @param {Control} one */
  #review(point, one) {
    return attempt(async () => {
      const by = await person();
      const { decision, why } = await filled(
        "Decide on this measurement", `${quantity(one.quantity)} ${one.level}, ${when(point.time)}: ${point.verdict}`, "Record",
        { name: "decision", label: "Decision", kind: "choice", choices: [["accept", "Accept it"], ["reject", "Reject it"], ["rerun", "Ask a rerun"], ["comment", "Only comment"]] },
        REASON,
      );
      await ask(`/api/v1/observations/${point.seq}/review`, { by, decision, why });
      tell("Recorded.");
      await this.#after(one);
    });
  }

  /** @param {Control} one */
  #action(one) {
    return attempt(async () => {
      const by = await person();
      const { why } = await filled("Corrective action", `${quantity(one.quantity)} ${one.level}, ${this.#label(one.device)}. The rules begin anew; what is held stays held.`, "Record", { ...REASON, label: "What was done" });
      await ask(`/api/v1/qc/${encodeURIComponent(one.id)}/action`, { by, why, device: one.device });
      tell("Recorded.");
      await this.#after(one);
    });
  }

  /** @param {Control} one */
  async #after(one) {
    await this.read();
    const now = this.controls.find((other) => other.id === one.id && other.device === one.device);
    if (now && byId("chart").open) await this.show(now, this.span);
  }
}

/** What was measured. @param {Point} point @param {string | null} ucum */
function measured(point, ucum) {
  if (typeof point.value === "number") return number(point.value, ucum);
  return h("bdi", {}, point.interpretation ?? (point.value === null ? "–" : String(point.value)));
}
