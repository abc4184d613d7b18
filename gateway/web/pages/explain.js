/** One alarm's whole story: its rule, what became of it, the readings around it, and what else a person may do. */

import { byId, h } from "./dom.js";
import { ask } from "./live.js";
import { maintain, work } from "./maintenance.js";
import { attempt, COMMENT, filled, person, REASON } from "./people.js";
import { cell, moment, table } from "./table.js";
import { quantity, token, when } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./alarms.js").Alarms} Alarms */

/** Rules write UCUM; people read °C. @param {string} text */
export function readable(text) {
  return text.replaceAll(/(\d) Cel\b/g, "$1 °C");
}

/**
 * Open it.
 * @param {string} id
 * @param {State} state
 * @param {Alarms} alarms
 */
export async function explain(id, state, alarms) {
  const path = `/api/v1/alarms/${encodeURIComponent(id)}`;
  const told = await attempt(() => ask(`${path}/explain`));
  if (!told) return;
  const device = state.devices.find((one) => one.id === told.device);
  byId("story-title").textContent = `${told.title}, ${device?.label ?? (told.device || "gateway")}`;
  byId("story-text").replaceChildren(
    buttons(path, told, state, alarms),
    facts(told),
    table("What became of it", ["Time", "What", "By", "Why"], told.transitions.reverse().map(transition)),
    table("Readings around it", ["Time", "Quantity", "Value", "Quality"], told.readings.reverse().map(reading)),
  );
  byId("story").showModal();
}

/**
 * What else may be done; the alarm's row has what is done every day.
 * @param {string} path
 * @param {any} told
 * @param {State} state
 * @param {Alarms} alarms
 */
function buttons(path, told, state, alarms) {
  const list = h("div", { class: "buttons" });
  const add = (/** @type {string} */ word, /** @type {() => Promise<any>} */ act) =>
    list.append(h("button", { type: "button", click: async () => (await alarms.act(act)) && byId("story").close() }, word));
  const asked = async (/** @type {string} */ end, /** @type {string} */ title, /** @type {import("./people.js").Field} */ field) =>
    ask(`${path}/${end}`, { by: await person(), ...(await filled(title, told.title, title, field)) });
  if (told.state.endsWith("unacknowledged")) add("Acknowledge with comment…", () => asked("acknowledge", "Acknowledge", COMMENT));
  if (told.state === "latched-acknowledged") add("Reset with comment…", () => asked("reset", "Reset", COMMENT));
  if (told.state === "out-of-service") add("Into service", async () => ask(`${path}/in-service`, { by: await person() }));
  else add("Out of service…", () => asked("out-of-service", "Take out of service", { ...REASON, name: "reason" }));
  const device = state.devices.find((one) => one.id === told.device);
  if (device) {
    const running = state.suppressions.some((one) => work(one) && one.device === device.id);
    if (running) add("End maintenance", async () => ask(`/api/v1/devices/${encodeURIComponent(device.id)}/maintenance/end`, { by: await person() }));
    else add("Begin maintenance…", () => maintain([device]));
  }
  return list;
}

/** @param {any} told */
function facts(told) {
  /** @type {[string, string | null | false][]} */
  const rows = [
    ["Rule", told.rule && readable(told.rule)],
    ["Now", told.explanation && readable(told.explanation)],
    ["State", told.state.replaceAll("-", " ")],
    ["Priority", told.priority],
    ["Raised", told.raised && when(told.raised)],
    ["Over", told.cleared && when(told.cleared)],
    ["Acknowledged", told.acknowledged_at && `${when(told.acknowledged_at)} by ${told.acknowledged_by}${told.comment ? `: ${told.comment}` : ""}`],
    ["Put aside", told.aside_by && `${told.aside_by}: ${told.aside_reason}`],
    ["Act before", told.respond_by && when(told.respond_by)],
    ["If nothing is done", told.consequence],
    ["What to do", [told.action, told.text].filter(Boolean).join(" ")],
  ];
  return h("dl", { class: "facts" }, ...rows.map(([name, what]) => what && h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}, what)))));
}

/** @param {any} one */
function transition(one) {
  return h("tr", {}, cell("Time", moment(one.time)), cell("What", one.transition.replaceAll(/[.-]/g, " ")), cell("By", one.by && h("bdi", {}, one.by)), cell("Why", one.why && h("bdi", {}, readable(one.why))));
}

/** @param {any} one */
function reading(one) {
  return h(
    "tr", {},
    cell("Time", moment(one.time)),
    cell("Quantity", h("bdi", {}, quantity(one.quantity))),
    cell("Value", token({ comparator: null, interpretation: null, ...one })),
    cell("Quality", one.quality === "good" ? "good" : `${one.quality === "bad" ? "✕" : "?"} ${one.quality}`),
  );
}
