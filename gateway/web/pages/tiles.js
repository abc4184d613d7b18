/** A tile for each device, in its room: last values, age, state, recent course. */

import { badge } from "./badge.js";
import { byId, h, mark, s, say } from "./dom.js";
import { gravity, inSight, withoutData } from "./state.js";
import { call, duration, invalid, quantity, token, when } from "./words.js";

/** @typedef {import("./state.js").Device} Device */
/** @typedef {import("./state.js").Alarm} Alarm */
/** @typedef {import("./state.js").Point} Point */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./words.js").Observation} Observation */

const WIDTH = 160;
const HEIGHT = 32;
const BESIDE = 2; // further values on a tile
const SECONDARY = /^(battery|link-?quality|lqi|rssi|snr|voltage|signal)/;

/**
 * What a tile shows large, and after it the rest: a watched quantity first, then readings (temperature, other numbers,
 * switches), then what instruments say about themselves. An analyser shows its newest result.
 * @param {Device} device
 * @param {Observation[]} values
 */
export function ranked(device, values) {
  const watched = (/** @type {Observation} */ seen) => device.limits.some((limit) => limit.quantity === seen.quantity || limit.quantity === "*");
  const rank = (/** @type {Observation} */ seen) => {
    if (seen.kind === "result" || seen.kind === "qc") return 0;
    if (seen.kind !== "reading") return 6;
    if (SECONDARY.test(seen.quantity)) return 5;
    if (watched(seen)) return 1;
    return typeof seen.value !== "number" ? 4 : seen.quantity === "temperature" ? 2 : 3;
  };
  return values.sort((a, b) => {
    const place = rank(a) - rank(b);
    if (place) return place;
    if (rank(a) === 0) return b.time.localeCompare(a.time) || a.seq - b.seq;
    return a.quantity.localeCompare(b.quantity);
  });
}

/**
 * Points to line pieces: where more than four usual intervals pass without a point the line is broken.
 * @param {Point[]} points
 * @returns {Point[][]}
 */
export function pieces(points) {
  const steps = points.slice(1).map((point, place) => point[0] - points[place][0]).sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  /** @type {Point[][]} */ const found = [];
  for (const point of points) {
    const last = found.at(-1);
    if (last && point[0] - last[last.length - 1][0] <= Math.max(4 * usual, 0.001)) last.push(point);
    else found.push([point]);
  }
  return found;
}

/**
 * A line where values follow each other, dots where each stands by itself.
 * @param {Point[]} points
 * @param {boolean} isLine
 */
function sparkline(points, isLine) {
  const [from, to] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 1];
  const numbers = points.map((point) => point[1]);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const x = (/** @type {number} */ at) => 2 + ((at - from) / (to - from || 1)) * (WIDTH - 4);
  const y = (/** @type {number} */ number) => (high > low ? HEIGHT - 4 - ((number - low) / (high - low)) * (HEIGHT - 8) : HEIGHT / 2);
  const place = (/** @type {Point} */ [at, number]) => `${x(at).toFixed(1)},${y(number).toFixed(1)}`;
  if (!isLine) return points.map((point) => `M${place(point)}h0`).join("");
  return pieces(points).map((piece) => (piece.length > 1 ? `M${piece.map(place).join("L")}` : `M${place(piece[0])}h0`)).join("");
}

class Tile {
  /** @param {Device} device @param {(device: string, quantity: string) => void} show */
  constructor(device, show) {
    this.main = "";
    this.name = h("button", { type: "button", class: "name", click: () => show(device.id, this.main) }, h("bdi"));
    this.large = h("div", { class: "large" });
    this.beside = h("div", { class: "beside" });
    this.path = s("path", { d: "" });
    this.spark = s("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.path);
    this.state = h("span", { class: "states" });
    this.age = h("span", { class: "age" });
    this.element = h("article", { class: "tile", "data-device": device.id }, this.name, this.large, this.beside, this.spark, h("div", { class: "foot" }, this.state, this.age));
    this.time = 0;
    this.drawn = "";
    this.stated = "";
  }

  /**
   * @param {Device} device
   * @param {State} state
   * @param {Alarm[]} alarms this device's, gravest first
   */
  draw(device, state, alarms) {
    const values = ranked(device, [...(state.values.get(device.id)?.values() ?? [])]);
    const [main] = values;
    say(/** @type {Element} */ (this.name.firstElementChild), device.label);
    const key = values.map((seen) => seen.uid).join();
    if (key !== this.drawn || !this.large.firstChild) {
      this.drawn = key;
      this.main = main?.quantity ?? "";
      this.#values(main, values.slice(1));
      const points = main ? state.sparks.get(device.id)?.get(main.quantity) ?? [] : [];
      this.path.setAttribute("d", points.length > 1 ? sparkline(points, main.kind === "reading") : "");
      mark(this.spark, "class", main?.kind === "reading" ? "spark" : "spark dots");
    }
    this.#state(device, alarms, main, withoutData(device, state.values.get(device.id)));
    this.time = Math.max(device.last_received ?? 0, main ? Date.parse(main.received) / 1000 : 0);
    this.tick(state.now());
  }

  /** @param {Observation | undefined} main @param {Observation[]} others */
  #values(main, others) {
    this.large.replaceChildren(...(main ? [h("span", { class: "of" }, quantity(main.quantity)), token(main)] : [h("span", { class: "token none" }, "—")]));
    const word = main && call(main);
    if (word) this.large.append(h("span", { class: "call" }, word));
    const rest = others.slice(0, BESIDE).map((seen) => h("span", { class: invalid(seen) ? "also invalid" : "also" }, `${quantity(seen.quantity)} `, token(seen)));
    if (others.length > BESIDE) rest.push(h("span", { class: "also" }, `+${others.length - BESIDE} more`));
    this.beside.replaceChildren(...rest);
  }

  /** @param {Device} device @param {Alarm[]} alarms @param {Observation | undefined} main @param {boolean} empty */
  #state(device, alarms, main, empty) {
    const worst = alarms[0];
    const said = JSON.stringify([worst?.priority, worst?.title, worst?.state, device.state, device.detail, empty, main?.quality, main && invalid(main)]);
    if (said === this.stated) return;
    this.stated = said;
    const states = [];
    if (worst) states.push(h("span", { class: "in-alarm" }, badge(worst.priority), h("bdi", { class: "short" }, worst.title)));
    if (device.state === "waiting" || device.state === "stopped") states.push(h("span", { class: "state lost", title: device.detail }, "○ no connection"));
    else if (empty) states.push(h("span", { class: "state" }, "○ no data yet"));
    if (main && invalid(main)) states.push(h("span", { class: "state bad" }, "✕ invalid"));
    else if (main && main.quality !== "good") states.push(h("span", { class: "state" }, `? ${main.quality}`));
    this.state.replaceChildren(...states);
    const acknowledged = worst && worst.state === "acknowledged" ? " seen" : "";
    mark(this.element, "class", `tile${worst ? ` alarmed ${worst.priority}${acknowledged}` : ""}${empty ? " empty" : ""}`);
  }

  /** @param {number} now unix seconds by the gateway's clock */
  tick(now) {
    say(this.age, this.time ? `${duration(now - this.time)} ago` : "never heard");
    mark(this.age, "title", when(this.time || null));
  }
}

export class Tiles {
  /** @param {State} state @param {(device: string, quantity: string) => void} show */
  constructor(state, show) {
    this.state = state;
    this.show = show;
    /** @type {Map<string, Tile>} */ this.tiles = new Map();
    this.layout = "";
  }

  /** @param {Set<string> | null} changed ids of devices; null for all */
  draw(changed) {
    const { state } = this;
    const layout = JSON.stringify(state.devices.map((device) => [device.room, device.id]));
    if (layout !== this.layout) {
      this.layout = layout;
      changed = null;
      this.#arrange();
    }
    for (const device of state.devices) {
      if (changed && !changed.has(device.id)) continue;
      const alarms = state.alarms.filter((alarm) => alarm.device === device.id && inSight(alarm)).sort((a, b) => gravity(a.priority) - gravity(b.priority));
      this.tiles.get(device.id)?.draw(device, state, alarms);
    }
  }

  #arrange() {
    /** @type {Map<string, Device[]>} */ const rooms = new Map();
    for (const device of this.state.devices) rooms.set(device.room, [...(rooms.get(device.room) ?? []), device]);
    const tiles = new Map();
    const shown = [...rooms].map(([room, devices]) => {
      const grid = h("div", { class: "tiles" });
      for (const device of devices) {
        const tile = this.tiles.get(device.id) ?? new Tile(device, this.show);
        tiles.set(device.id, tile);
        grid.append(tile.element);
      }
      const title = room || (rooms.size > 1 ? "Elsewhere" : "");
      return h("div", { class: "room", "data-size": Math.min(devices.length, 6) }, title && h("h3", { dir: "auto" }, title), grid);
    });
    this.tiles = tiles;
    byId("rooms").replaceChildren(...(shown.length ? shown : [h("p", { class: "calm" }, "No devices are configured.")]));
  }

  tick() {
    const now = this.state.now();
    for (const tile of this.tiles.values()) tile.tick(now);
  }
}
