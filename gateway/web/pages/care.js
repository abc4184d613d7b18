/** Care of the alarms themselves: what is not raised meanwhile, who is told, and how the last week went. */

import { byId, h, say } from "./dom.js";
import { ask, Refusal } from "./live.js";
import { maintain, work } from "./maintenance.js";
import { attempt, filled, person, tell } from "./people.js";
import { cell, fill, moment, table } from "./table.js";
import { duration, when } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./state.js").Suppression} Suppression */
/** @typedef {{id: string, type: string, failing: string, muted_until: string | null}} Notifier */

const WEEK = "since=7d";
const MOST_ROWS = 200;
const MOST_ASKED = 10_000; // transitions in one answer

export class Care {
  /** @param {State} state @param {import("./alarms.js").Alarms} alarms */
  constructor(state, alarms) {
    this.state = state;
    this.alarms = alarms;
    /** @type {Notifier[]} */ this.notifiers = [];
    /** @type {Map<string, string>} notifier: how its last test from here went */ this.tested = new Map();
    byId("begin-work").addEventListener("click", () => this.#act(() => maintain(state.devices)));
    byId("history").addEventListener("toggle", () => byId("history").open && attempt(() => past()));
  }

  draw() {
    const { suppressions } = this.state;
    byId("no-work").hidden = suppressions.length > 0;
    byId("begin-work").disabled = this.state.devices.length === 0;
    fill(byId("work-list"), suppressions, (one) => this.#workRow(one), this.state.devices.map((device) => device.label));
  }

  /** @param {() => Promise<any>} act */
  async #act(act) {
    if (await this.alarms.act(act)) this.draw();
  }

  /** @param {Suppression} one */
  #workRow(one) {
    const label = this.state.devices.find((device) => device.id === one.device)?.label ?? (one.device || "every device");
    const end = () => this.#act(async () => ask(`/api/v1/devices/${encodeURIComponent(one.device)}/maintenance/end`, { by: await person() }));
    return h(
      "li", {},
      h(
        "div", { class: "what" },
        h("span", { class: "where" }, h("bdi", {}, label)),
        h("span", { class: "tag" }, "◌ ", h("bdi", {}, one.suppression)),
        h("span", { class: "why" }, one.by && h("bdi", {}, one.by), one.by && ": ", h("bdi", {}, one.reason)),
      ),
      h("span", { class: "since" }, h("span", { class: "hint" }, "until "), moment(one.until)),
      h("div", { class: "buttons" }, work(one) && h("button", { type: "button", "aria-label": `End maintenance: ${label}`, click: end }, "End")),
    );
  }

  // ---- who is told

  async read() {
    if (document.hidden) return;
    try {
      const { items, alarm_test: test } = await ask("/api/v1/notifiers");
      this.notifiers = items;
      say(byId("alarm-test"), test ? weekly(test) : items.length ? "No weekly test of the whole path is configured." : "");
      this.#drawNotifiers();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error; // the page says by itself that nothing is heard
    }
  }

  #drawNotifiers() {
    byId("no-notifiers").hidden = this.notifiers.length > 0;
    fill(byId("notifier-list"), this.notifiers, (one) => this.#notifierRow(one), [...this.tested]);
  }

  /** @param {Notifier} one */
  #notifierRow(one) {
    const tested = this.tested.get(one.id);
    return h(
      "li", {},
      h(
        "div", { class: "what" },
        h("span", { class: "where" }, h("bdi", {}, one.id)),
        h("span", { class: "hint" }, one.type),
        h("span", { class: one.failing ? "tag bad" : "tag" }, one.failing ? "✕ failing" : "✓ ready"),
        one.muted_until && h("span", { class: "tag" }, `◌ muted until ${when(one.muted_until)}`),
        one.failing && h("span", { class: "why", dir: "auto" }, one.failing),
        tested && h("span", { class: "why", dir: "auto" }, tested),
      ),
      h("span", {}),
      h(
        "div", { class: "buttons" },
        one.type === "sounder" && h("button", { type: "button", "aria-label": `Mute: ${one.id}`, click: () => this.#mute(one) }, "Mute…"),
        h("button", { type: "button", "aria-label": `Test: ${one.id}`, click: () => this.#test(one) }, "Test"),
      ),
    );
  }

  /** @param {Notifier} one */
  #test(one) {
    return attempt(async () => {
      const by = await person();
      tell(`Sending a test by ${one.id}…`);
      const why = await ask(`/api/v1/notifiers/${encodeURIComponent(one.id)}/test`, { by }).then(() => "", (error) => {
        if (error instanceof Refusal) return error.message;
        throw error;
      });
      const said = why ? `✕ Test of ${when(Date.now() / 1000)} not sent: ${why}` : `✓ Test of ${when(Date.now() / 1000)} sent`;
      this.tested.set(one.id, said);
      tell(`${one.id}: ${said}`);
      await this.read();
    });
  }

  /** @param {Notifier} one */
  #mute(one) {
    return attempt(async () => {
      const by = await person();
      const { minutes } = await filled("Mute this sounder", `${one.id}: a new alarm is heard all the same`, "Mute",
        { name: "minutes", label: "For", kind: "choice", choices: [[15, "15 minutes"], [30, "30 minutes"], [60, "1 hour"]] });
      await ask(`/api/v1/notifiers/${encodeURIComponent(one.id)}/mute`, { by, minutes: Number(minutes) });
      await this.read();
    });
  }
}

/** @param {{at: string, timezone: string, due: string, waits: boolean, words: string}} test */
function weekly(test) {
  const stands = test.waits ? `… ${test.words}` : test.words ? `✕ ${test.words}` : `✓ none waits for an answer, the last was due ${when(test.due)}`;
  return `Weekly test (${test.at}, ${test.timezone}): ${stands}`;
}

// ---- the last week

async function past() {
  const box = byId("history-text");
  box.replaceChildren(h("p", { class: "calm" }, "Reading…"));
  const [told, { items }] = await Promise.all([ask(`/api/v1/alarms/statistics?${WEEK}`), ask(`/api/v1/alarms/history?${WEEK}&limit=${MOST_ASKED}`)]);
  const rows = items.slice(-MOST_ROWS).reverse();
  box.replaceChildren(
    figuresOf(told),
    h("ul", { class: "checks" }, ...told.verdicts.map((/** @type {any} */ one) => h("li", {}, h("span", { class: one.ok ? "tag" : "tag bad" }, one.ok ? "✓ good" : "✕ too much"), ` ${one.what}: ${one.wanted}`))),
    table(items.length > rows.length ? `The newest ${rows.length} of ${items.length} changes` : "Changes, newest first", ["Time", "Alarm", "What", "By", "Why"], rows.map(change)),
  );
}

/** @param {any} told */
function figuresOf(told) {
  const percent = (/** @type {number} */ share) => `${Number((100 * share).toPrecision(2))} %`;
  const named = (/** @type {string[]} */ names) => (names.length ? `${names.length}: ${names.slice(0, 10).join(", ")}` : "none");
  /** @type {[string, string][]} */
  const rows = [
    ["Raised", String(told.raised)],
    ["In ten minutes, on average", String(Number(told.per_ten_minutes.toPrecision(2)))],
    ["In the worst ten minutes", String(told.peak)],
    ["Time in flood", percent(told.flood_share)],
    ["Acknowledged within (median)", told.answered_within === null ? "none was" : duration(told.answered_within)],
    ["Not acknowledged", named(told.unanswered)],
    ["Over within a minute", String(told.fleeting)],
    ["Chattering", named(told.chattering)],
    ["On for more than a day", named(told.standing)],
    ["By priority", Object.entries(told.priorities).map(([name, share]) => `${name} ${percent(/** @type {number} */ (share))}`).join(", ") || "none"],
    ["Most often", told.worst.map((/** @type {any} */ one) => `${one.alarm} (${one.raised})`).join(", ") || "none"],
  ];
  return h("dl", { class: "facts" }, ...rows.map(([name, what]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}, what)))));
}

/** @param {any} one */
function change(one) {
  return h(
    "tr", {},
    cell("Time", moment(one.time)), cell("Alarm", h("bdi", {}, one.alarm || one.device)), cell("What", one.transition.replaceAll(/[.-]/g, " ")),
    cell("By", one.by && h("bdi", {}, one.by)), cell("Why", one.why && h("bdi", {}, one.why)),
  );
}
