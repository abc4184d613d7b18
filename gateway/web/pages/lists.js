/** What waits for people and for stores: quarantine and sinks. */

import { byId, h, say } from "./dom.js";
import { ask } from "./live.js";
import { attempt, tell } from "./people.js";
import { message } from "./results.js";
import { counted, duration, when } from "./words.js";

/** @typedef {import("./state.js").State} State */
/** @typedef {{id: number, raw: number, device: string, reason: string, detail: string, at: string}} Entry */

const SHOWN = 50;

/** Read the quarantine and show it. */
export async function quarantine() {
  if (document.hidden) return;
  const answer = await ask(`/api/v1/quarantine?limit=${SHOWN}`).catch(() => null);
  if (!answer) return;
  const { items, total } = /** @type {{items: Entry[], total: number}} */ (answer);
  const list = byId("quarantine-list");
  const key = JSON.stringify([items, total]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  say(byId("quarantine-count"), total ? `(${total})` : "");
  byId("no-quarantine").hidden = total > 0;
  const rows = items.map(entry);
  if (total > items.length) rows.push(h("li", { class: "calm" }, `and ${total - items.length} older ones`));
  list.replaceChildren(...rows);
}

/** @param {Entry} one */
function entry(one) {
  const title = `${one.device || "no device"}, ${when(one.at)}`;
  return h(
    "li", {},
    h("div", { class: "what" }, h("span", { class: "where" }, h("bdi", {}, one.device || "no device"), " ", h("span", { class: "tag" }, one.reason)), h("span", { class: "why", dir: "auto" }, one.detail)),
    h("time", { datetime: one.at, class: "since" }, when(one.at)),
    h(
      "div", { class: "buttons" },
      h("button", { type: "button", "aria-label": `Look at ${title}`, click: () => attempt(() => look(one)) }, "Look"),
      h("button", { type: "button", "aria-label": `Try again ${title}`, click: () => attempt(() => again(one)) }, "Try again"),
    ),
  );
}

/** @param {Entry} one */
async function look(one) {
  const raw = await ask(`/api/v1/raw/${one.raw}`);
  byId("story-title").textContent = `Not understood, ${one.device || "no device"}`;
  byId("story-text").replaceChildren(message(raw));
  byId("story").showModal();
}

/** @param {Entry} one */
async function again(one) {
  const { understood } = await ask(`/api/v1/quarantine/${one.id}/retry`, {});
  tell(understood ? "Understood now." : "Still not understood.");
  await quarantine();
}

/** @param {State} state */
export function stores(state) {
  byId("no-stores").hidden = state.sinks.length > 0;
  const list = byId("store-list");
  const key = JSON.stringify(state.sinks);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(
    ...state.sinks.map((sink) =>
      h(
        "li", { class: sink.last_error ? "trouble" : "" },
        h(
          "div", { class: "what" },
          h("span", { class: "where" }, h("bdi", {}, sink.id), " ", h("span", { class: sink.last_error ? "tag bad" : "tag" }, sink.last_error ? "✕ failing" : sink.connected ? "✓ delivering" : "… waiting")),
          sink.last_error && h("span", { class: "why", dir: "auto" }, sink.last_error),
          sink.refused > 0 && h("span", { class: "why" }, `${counted(sink.refused, "observation", "observations")} refused by the store`),
          sink.resending > 0 && h("span", { class: "why" }, `sending ${sink.resending} again, which the store may have lost`),
        ),
        h("span", { class: "since" }, sink.behind ? `${sink.behind} behind, ${duration(sink.behind_seconds)}` : "nothing owed"),
      ),
    ),
  );
}
