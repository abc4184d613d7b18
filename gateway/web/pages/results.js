/** The newest results, and each one's story: what was sent, what was made of it, and by which rule. */

import { byId, h } from "./dom.js";
import { ask } from "./live.js";
import { attempt } from "./people.js";
import { call, invalid, quantity, token, value, when } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Observation} Observation */

const BYTES = 4096; // shown of one message; the rest is in the journal

export class Results {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    /** @type {Map<string, HTMLElement>} */ this.rows = new Map();
  }

  draw() {
    const labels = new Map(this.state.devices.map((device) => [device.id, device.label]));
    /** @type {Map<string, HTMLElement>} */ const rows = new Map();
    const table = byId("result-rows");
    this.state.results.forEach((seen, place) => {
      const row = this.rows.get(seen.uid) ?? this.#row(seen, labels.get(seen.device) ?? seen.device);
      rows.set(seen.uid, row);
      if (table.children[place] !== row) table.insertBefore(row, table.children[place] ?? null);
    });
    for (const [uid, row] of this.rows) if (!rows.has(uid)) row.remove();
    this.rows = rows;
    byId("no-results").hidden = rows.size > 0;
  }

  /** @param {Observation} seen @param {string} label */
  #row(seen, label) {
    const bad = invalid(seen);
    const word = call(seen);
    const tell = () => attempt(() => story(seen, label));
    return h(
      "tr", { class: bad ? "invalid" : "", click: tell },
      // The row is for the mouse; this button is its way in for keyboards and screen readers.
      h("td", {}, h("button", { type: "button", class: "link", "aria-label": `The story of ${quantity(seen.quantity)} at ${when(seen.time)}` }, when(seen.time))),
      h("td", {}, h("bdi", {}, label)),
      h("td", {}, seen.specimen ? h("bdi", { class: "mono" }, seen.specimen) : "", seen.kind === "qc" && h("span", { class: "tag" }, "QC")),
      h("td", {}, h("bdi", {}, quantity(seen.quantity))),
      h("td", { class: "result" }, bad && h("span", { class: "tag bad" }, "✕ invalid"), !(bad && value(seen) === "invalid") && token(seen), word && word !== "invalid" && h("span", { class: "call" }, word)),
      h("td", {}, seen.flags.map((flag) => `${flag}`).join(" "), ...marks(seen)),
      h("td", { class: seen.quality }, seen.quality === "good" ? "good" : `${seen.quality === "bad" ? "✕" : "?"} ${seen.quality}`),
    );
  }
}

/** What quality control says of it. @param {Observation} seen */
function marks(seen) {
  const { qc, hold, critical } = seen.attributes;
  const tags = [];
  if (critical) tags.push(h("span", { class: "tag bad" }, "▲ critical"));
  if (qc?.verdict === "rejected") tags.push(h("span", { class: "tag bad", title: (qc.rules ?? []).join(", ") }, "✕ rejected"));
  if (qc?.verdict === "warning") tags.push(h("span", { class: "tag", title: (qc.rules ?? []).join(", ") }, "△ warning"));
  if (seen.status === "preliminary") tags.push(h("span", { class: "tag", title: hold ?? "" }, "◌ held"));
  return tags;
}

/**
 * Tell one observation's story.
 * @param {Observation} seen
 * @param {string} label
 */
export async function story(seen, label) {
  const dialog = byId("story");
  byId("story-title").textContent = `${quantity(seen.quantity)}, ${label}`;
  const text = byId("story-text");
  text.replaceChildren(facts(seen), h("p", { class: "calm" }, "Reading the message…"));
  if (!dialog.open) dialog.showModal();
  const raw = await attempt(() => ask(`/api/v1/raw/${seen.raw}`));
  text.lastElementChild?.replaceWith(raw ? message(raw) : h("p", { class: "calm" }, "The message is no longer kept."));
}

/** @param {Observation} seen */
function facts(seen) {
  const { attributes } = seen;
  const known = ["value_as_sent", "unit_as_sent", "interpretation_as_sent", "rule", "quality_reason"];
  const sent = [attributes.value_as_sent ?? seen.value, attributes.unit_as_sent ?? seen.unit].filter((part) => part !== null && part !== undefined).join(" ");
  /** @type {[string, any][]} */
  const rows = [
    ["Result", token(seen)],
    ["Call", seen.interpretation],
    ["As sent", sent],
    ["Call as sent", attributes.interpretation_as_sent],
    ["Rule", attributes.rule],
    ["Quality", [seen.quality, attributes.quality_reason].filter(Boolean).join(": ")],
    ["Flags", seen.flags.join(" ")],
    ["Status", seen.status],
    ["Specimen", seen.specimen],
    ["Patient", seen.patient],
    ["Operator", seen.operator],
    ["Lot", [seen.lot, seen.lot_expiry && `until ${seen.lot_expiry}`].filter(Boolean).join(" ")],
    ["Run", seen.run],
    ["Code", seen.code],
    ["Measured", when(seen.time)],
    ["Device's clock", seen.device_time],
    ["Received", when(seen.received)],
    ...Object.entries(attributes).filter(([name]) => !known.includes(name)),
    ["Place in the journal", `${seen.seq} from message ${seen.raw}`],
  ];
  const list = h("dl", { class: "facts" });
  for (const [name, what] of rows) {
    if (what === null || what === undefined || what === "") continue;
    const shown = what instanceof Node ? what : h("bdi", {}, typeof what === "object" ? JSON.stringify(what) : String(what));
    list.append(h("div", {}, h("dt", {}, name), h("dd", {}, shown)));
  }
  return list;
}

/**
 * One raw message.
 * @param {any} raw
 */
export function message(raw) {
  const hex = String(raw.hex).slice(0, 2 * BYTES);
  const more = raw.hex.length > hex.length ? ` The first ${BYTES} of ${raw.hex.length / 2} bytes:` : "";
  return h(
    "div", { class: "message" },
    h("h3", {}, "The message as it arrived"),
    h("p", { class: "hint" }, `${raw.channel || "no channel"}, ${when(raw.received)}, ${raw.state}, ${raw.hex.length / 2} bytes${raw.frames.length ? ` in ${raw.frames.length} frames` : ""}, ${raw.observations.length} observations made of it.${more}`),
    raw.quarantine && h("p", { class: "tag bad", dir: "auto" }, `Not understood: ${raw.quarantine.reason}: ${raw.quarantine.detail}`),
    h("pre", { tabindex: "0", "aria-label": "as text", dir: "ltr" }, String(raw.text).slice(0, 4 * BYTES)),
    h("details", {}, h("summary", {}, "Bytes in hex"), h("pre", { tabindex: "0", "aria-label": "in hex", dir: "ltr" }, (hex.match(/.{1,32}/g) ?? []).map(dumped).join("\n"))),
  );
}

/** @param {string} line hex of up to 16 bytes @param {number} place */
function dumped(line, place) {
  const pairs = line.match(/../g) ?? [];
  const text = pairs.map((pair) => Number.parseInt(pair, 16)).map((code) => (code >= 32 && code < 127 ? String.fromCharCode(code) : "·")).join("");
  return `${(place * 16).toString(16).padStart(6, "0")}  ${pairs.join(" ").padEnd(47)}  ${text}`;
}
