/** Open alarms: gravest first, by shape, word and colour. */

import { badge } from "./badge.js";
import { byId, h, mark, say } from "./dom.js";
import { explain, readable } from "./explain.js";
import { ask } from "./live.js";
import { asked, attempt, person } from "./people.js";
import { inSight } from "./state.js";
import { counted, quantity, when } from "./words.js";

/** @typedef {import("./state.js").Alarm} Alarm */
/** @typedef {import("./state.js").State} State */

/** @param {Alarm} alarm what a person must know of its state; nothing where it is simply new */
function standing(alarm) {
  switch (alarm.state) {
    case "acknowledged":
      return `Acknowledged by ${alarm.acknowledged_by} at ${when(alarm.acknowledged_at)}${alarm.comment ? `: ${alarm.comment}` : ""}`;
    case "returned-unacknowledged":
      return `Over by itself at ${when(alarm.cleared)}, not acknowledged`;
    case "shelved":
      return `Shelved by ${alarm.shelved_by} until ${when(alarm.shelved_until)}: ${alarm.shelve_reason}`;
    case "latched-unacknowledged":
      return `Over by itself at ${when(alarm.cleared)}, not acknowledged; stays until it is reset`;
    case "latched-acknowledged":
      return `Over, acknowledged by ${alarm.acknowledged_by}; stays until it is reset`;
    case "suppressed":
      return `Not raised: ${alarm.aside_reason || alarm.aside_by}`;
    case "out-of-service":
      return `Out of service by ${alarm.aside_by}: ${alarm.aside_reason}`;
    default:
      return alarm.respond_by ? `Act before ${when(alarm.respond_by)}` : "";
  }
}

const SHELVABLE = new Set(["unacknowledged", "acknowledged", "returned-unacknowledged"]);

/** How many are out of sight, by why. @param {Alarm[]} alarms */
function aside(alarms) {
  const of = (/** @type {string} */ state) => alarms.filter((alarm) => alarm.state === state).length;
  return [
    of("shelved") && counted(of("shelved"), "alarm shelved", "alarms shelved"),
    of("suppressed") && counted(of("suppressed"), "alarm suppressed", "alarms suppressed"),
    of("out-of-service") && counted(of("out-of-service"), "alarm out of service", "alarms out of service"),
  ]
    .filter(Boolean)
    .join(", ");
}

export class Alarms {
  /**
   * @param {State} state
   * @param {(device: string, quantity: string) => void} show
   */
  constructor(state, show) {
    this.state = state;
    this.show = show;
    /** @type {Set<string> | null} */ this.told = null;
    /** @type {string} */ this.drawn = "";
  }

  draw() {
    const { alarms } = this.state;
    const now = JSON.stringify([alarms, this.state.devices.map((device) => device.label)]);
    if (now === this.drawn) return;
    this.drawn = now;
    const open = alarms.filter(inSight);
    const shelved = alarms.filter((alarm) => !inSight(alarm));
    this.#fill(byId("alarm-list"), open);
    this.#fill(byId("shelved-list"), shelved);
    byId("no-alarms").hidden = open.length > 0;
    byId("shelved").hidden = shelved.length === 0;
    say(byId("shelved-title"), aside(shelved));
    this.#tell(open.filter((alarm) => alarm.state === "unacknowledged"));
  }

  /** @param {Alarm[]} fresh for those who listen instead of looking */
  #tell(fresh) {
    const news = fresh.filter((alarm) => this.told && !this.told.has(alarm.id));
    this.told = new Set(fresh.map((alarm) => alarm.id));
    if (news.length) {
      byId("alarm-news").textContent = news
        .map((alarm) => `${alarm.priority} alarm: ${alarm.title}, ${this.#where(alarm)}, ${readable(alarm.explanation)}`)
        .join(". ");
    }
  }

  /**
   * Rows are kept where their alarm stays, so that focus and a half-pressed button survive.
   * @param {HTMLElement} list
   * @param {Alarm[]} alarms
   */
  #fill(list, alarms) {
    const rows = new Map([...list.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.id, row]));
    alarms.forEach((alarm, place) => {
      const said = JSON.stringify([alarm, this.#where(alarm)]);
      let row = rows.get(alarm.id);
      if (row && row.getAttribute("data-said") === said) rows.delete(alarm.id);
      else {
        const made = this.#row(alarm);
        mark(made, "data-said", said);
        row?.replaceWith(made);
        rows.delete(alarm.id);
        row = made;
      }
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
    });
    for (const gone of rows.values()) gone.remove();
  }

  /** @param {Alarm} alarm */
  #where(alarm) {
    const device = this.state.devices.find((one) => one.id === alarm.device);
    return device?.label ?? (alarm.device || "gateway");
  }

  /** @param {Alarm} alarm */
  #row(alarm) {
    const isDevice = this.state.devices.some((one) => one.id === alarm.device);
    const name = h("bdi", {}, this.#where(alarm));
    const path = `/api/v1/alarms/${encodeURIComponent(alarm.id)}`;
    const label = `${alarm.title}, ${this.#where(alarm)}`;
    const buttons = h("div", { class: "buttons" });
    const add = (/** @type {string} */ word, /** @type {() => void} */ act) =>
      buttons.append(h("button", { type: "button", click: act, "aria-label": `${word}: ${label}` }, word));
    if (alarm.state.endsWith("unacknowledged")) {
      add("Acknowledge", () => this.act(async () => ask(`${path}/acknowledge`, { by: await person(), comment: "" })));
    }
    if (alarm.state === "shelved") {
      add("Unshelve", () => this.act(async () => ask(`${path}/unshelve`, { by: await person() })));
    } else if (alarm.state === "out-of-service") {
      add("Into service", () => this.act(async () => ask(`${path}/in-service`, { by: await person() })));
    } else if (alarm.state === "latched-acknowledged") {
      add("Reset", () => this.act(async () => ask(`${path}/reset`, { by: await person(), comment: "" })));
    } else if (SHELVABLE.has(alarm.state)) {
      add("Shelve", () => this.act(async () => ask(`${path}/shelve`, { by: await person(), ...(await asked(label)) })));
    }
    add("More", () => explain(alarm.id, this.state, this));
    const state = standing(alarm);
    return h(
      "li", { class: `alarm ${alarm.priority} ${alarm.state}`, "data-id": alarm.id },
      badge(alarm.priority),
      h(
        "div", { class: "what" },
        isDevice
          ? h("button", { type: "button", class: "link where", click: () => this.show(alarm.device, alarm.quantity) }, name)
          : h("span", { class: "where" }, name),
        h(
          "span", { class: "why" },
          h("bdi", {}, alarm.title),
          alarm.explanation && ": ",
          alarm.explanation && h("bdi", {}, readable(alarm.explanation)),
          alarm.quantity && ` (${quantity(alarm.quantity)})`,
        ),
        ...[alarm.consequence, alarm.action, alarm.text].map((words) => words && h("span", { class: "todo", dir: "auto" }, words)),
        state && h("span", { class: "standing", dir: "auto" }, state),
      ),
      h("span", { class: "since" }, h("span", { class: "hint" }, "since "), h("time", { datetime: alarm.raised ?? "" }, when(alarm.raised))),
      buttons,
    );
  }

  /** Do something that is answered by what stands then; true when it was done. @param {() => Promise<any>} act */
  async act(act) {
    const answer = await attempt(act);
    if (!answer) return false;
    this.state.standing(answer);
    this.draw();
    return true;
  }
}
