/** What waits for a person: critical values nobody has been told of, and results that are held. */

import { byId, h, say } from "./dom.js";
import { ask } from "./live.js";
import { attempt, COMMENT, filled, person, REASON, tell } from "./people.js";
import { story } from "./results.js";
import { fill, moment } from "./table.js";
import { counted, figures, quantity, token, unit } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Observation} Observation */
/** @typedef {{seq: number, device: string, quantity: string, time: string}} Waits */
/** @typedef {Waits & {why: string}} Held */
/** @typedef {Waits & {side: string, limit: number, unit: string | null}} Critical */

const SHOWN = 100;

export class Waiting {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    /** @type {Held[]} */ this.held = [];
    this.total = 0;
    /** @type {Critical[]} */ this.critical = [];
    /** @type {Set<number>} */ this.chosen = new Set();
    /** @type {Map<number, Observation>} what the rows are about; a journal's entries never change */
    this.seen = new Map();
    for (const id of ["held-device", "held-test"]) byId(id).addEventListener("change", () => this.#drawHeld());
    byId("held-all").addEventListener("change", () => this.#choose(this.#shown(), byId("held-all").checked));
    byId("release").addEventListener("click", () => this.#release());
  }

  /** True while something waits. */
  get any() {
    return this.held.length > 0 || this.critical.length > 0;
  }

  async read() {
    const [held, critical] = await Promise.all([ask("/api/v1/held"), ask("/api/v1/critical")]);
    this.held = held.items;
    this.total = held.total;
    this.critical = critical.items;
    await this.#look([...this.critical.slice(0, SHOWN), ...this.#shown()]);
    this.#drawHeld();
    this.#drawCritical();
  }

  /** Specimen and value of each. @param {Waits[]} items */
  async #look(items) {
    const known = new Map([...this.state.results.map((seen) => /** @type {[number, Observation]} */ ([seen.seq, seen])), ...this.seen]);
    this.seen = new Map();
    for (const { seq } of items) {
      const seen = known.get(seq) ?? (await ask(`/api/v1/observations?after=${seq - 1}&limit=1`)).items[0];
      if (seen?.seq === seq) this.seen.set(seq, seen);
    }
  }

  /** @param {string} device */
  #label(device) {
    return this.state.devices.find((one) => one.id === device)?.label ?? device;
  }

  // ---- held results

  #matching() {
    const device = byId("held-device").value;
    const test = byId("held-test").value;
    return this.held.filter((one) => (!device || one.device === device) && (!test || one.quantity === test));
  }

  #shown() {
    return this.#matching().slice(0, SHOWN);
  }

  #drawHeld() {
    byId("held").hidden = this.held.length === 0;
    say(byId("held-title"), `${counted(this.total, "result is", "results are")} held`);
    say(byId("held-count"), this.total ? `◌ ${this.total} held` : "");
    options(byId("held-device"), "All", this.held.map((one) => [one.device, this.#label(one.device)]));
    options(byId("held-test"), "All", this.held.map((one) => [one.quantity, quantity(one.quantity)]));
    const there = new Set(this.held.map((one) => one.seq));
    for (const seq of this.chosen) if (!there.has(seq)) this.chosen.delete(seq);
    const shown = this.#shown();
    fill(byId("held-list"), shown, (one) => this.#heldRow(one), [...this.seen.keys()]);
    const more = this.#matching().length - shown.length;
    say(byId("held-more"), more > 0 ? `and ${more} newer ones, shown as these are released` : "");
    this.#drawChosen();
    // Another filter may show what was not looked at yet.
    if (shown.some((one) => !this.seen.has(one.seq))) attempt(() => this.#look([...this.critical.slice(0, SHOWN), ...shown]).then(() => fill(byId("held-list"), this.#shown(), (one) => this.#heldRow(one), [...this.seen.keys()])));
  }

  /** What a row is about, in words for those who do not see it. @param {Waits} one */
  #about(one) {
    const specimen = this.seen.get(one.seq)?.specimen;
    return `${quantity(one.quantity)}${specimen ? ` of ${specimen}` : ""}, ${this.#label(one.device)}`;
  }

  /** @param {Waits} one @param {...import("./dom.js").Child} marks */
  #what(one, ...marks) {
    const seen = this.seen.get(one.seq);
    return h(
      "div", { class: "what" },
      h("span", { class: "where" }, h("bdi", {}, seen?.specimen || "no specimen")),
      h("span", {}, h("bdi", {}, quantity(one.quantity)), " ", seen && token(seen)),
      h("bdi", { class: "hint" }, this.#label(one.device)),
      ...marks,
    );
  }

  /** @param {Waits} one */
  #story(one) {
    const seen = this.seen.get(one.seq);
    return seen && h("button", { type: "button", "aria-label": `Story: ${this.#about(one)}`, click: () => attempt(() => story(seen, this.#label(one.device))) }, "Story");
  }

  /** @param {Held} one */
  #heldRow(one) {
    const box = h("input", { type: "checkbox", "data-seq": one.seq, "aria-label": `Choose ${this.#about(one)}`, change: (event) => this.#choose([one], event.target.checked) });
    /** @type {HTMLInputElement} */ (box).checked = this.chosen.has(one.seq);
    return h(
      "li", { class: "choice" },
      h("label", { class: "check" }, box),
      this.#what(one, h("span", { class: "why", dir: "auto" }, one.why)),
      moment(one.time, "since"),
      h("div", { class: "buttons" }, this.#story(one)),
    );
  }

  /** @param {Held[]} items @param {boolean} yes */
  #choose(items, yes) {
    for (const { seq } of items) {
      if (yes) this.chosen.add(seq);
      else this.chosen.delete(seq);
    }
    this.#drawChosen();
  }

  #drawChosen() {
    for (const box of byId("held-list").querySelectorAll("input")) box.checked = this.chosen.has(Number(box.dataset.seq));
    const shown = this.#shown();
    const chosen = shown.filter((one) => this.chosen.has(one.seq)).length;
    byId("held-all").checked = chosen > 0 && chosen === shown.length;
    byId("held-all").indeterminate = chosen > 0 && chosen < shown.length;
    byId("release").disabled = chosen === 0;
    say(byId("release"), chosen ? `Release ${counted(chosen, "result", "results")}…` : "Release");
  }

  /** Only what is in sight is released. */
  #release() {
    const items = this.#shown().filter((one) => this.chosen.has(one.seq));
    const what = items.length === 1 ? this.#about(items[0]) : `${items.length} results become final`;
    return attempt(async () => {
      const by = await person();
      const { why } = await filled("Release", what, "Release", REASON);
      await ask("/api/v1/held/release", { by, why, seqs: items.map((one) => one.seq) });
      tell(`${counted(items.length, "result", "results")} released.`);
      await this.read();
    });
  }

  // ---- critical values

  #drawCritical() {
    const count = this.critical.length;
    byId("critical").hidden = count === 0;
    say(byId("critical-count"), count ? `▲ ${counted(count, "critical value", "critical values")}` : "");
    fill(byId("critical-list"), this.critical.slice(0, SHOWN), (one) => this.#criticalRow(one), [...this.seen.keys()]);
  }

  /** @param {Critical} one */
  #criticalRow(one) {
    const shown = unit(one.unit ?? this.seen.get(one.seq)?.unit);
    const limit = h("span", {}, one.side === "low" ? "below " : "above ", h("bdi", { dir: "ltr", class: "token" }, figures(one.limit), shown && ` ${shown}`));
    return h(
      "li", {},
      this.#what(one, h("span", { class: "tag bad" }, "▲ critical"), limit),
      moment(one.time, "since"),
      h("div", { class: "buttons" }, this.#story(one), h("button", { type: "button", "aria-label": `Read-back: ${this.#about(one)}`, click: () => this.#readBack(one) }, "Read-back…")),
    );
  }

  /** @param {Critical} one */
  #readBack(one) {
    return attempt(async () => {
      const by = await person();
      const { to, at, repeated, why } = await filled(
        "Somebody was told", this.#about(one), "Record",
        { name: "to", label: "Who was told", kind: "text", needed: true },
        { name: "at", label: "When", kind: "moment" },
        { name: "repeated", label: "They read the value back, and it was right", kind: "check" },
        { ...COMMENT, name: "why" },
      );
      await ask(`/api/v1/observations/${one.seq}/read-back`, { by, to, at, read_back: repeated, why });
      tell(repeated ? "Recorded." : "Recorded. It stays listed until it is read back.");
      await this.read();
    });
  }
}

/**
 * The choices of a filter; what was chosen stays where it is still there.
 * @param {HTMLSelectElement} select
 * @param {string} all
 * @param {[string, string][]} found
 */
function options(select, all, found) {
  const pairs = [["", all], ...new Map(found)];
  const key = JSON.stringify(pairs);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  const former = select.value;
  select.replaceChildren(...pairs.map(([value, word]) => h("option", { value }, word)));
  select.value = pairs.some(([value]) => value === former) ? former : "";
}
