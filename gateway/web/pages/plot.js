/** A plot of one quantity over time, in SVG: range of each bucket, mean, limits, gaps. */

import { h, s } from "./dom.js";
import { figures, when } from "./words.js";

/** @typedef {{time: number, low: number, mean: number, high: number}} Bucket */
/** @typedef {{above: number | null, below: number | null, alarm: string}} Limit */
/** @typedef {{unit: string, width: number, points: Bucket[], limits: Limit[], joined: boolean}} Course `width` of a bucket in seconds; not `joined`: each stands by itself, as specimens do */

const HEIGHT = 300;
const LEFT = 64;
const RIGHT = 24;
const TOP = 12;
const FOOT = 28;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];

/** Round steps for a value axis. @param {number} low @param {number} high */
function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6 && found.length < 12; at += step) found.push(Number(at.toPrecision(10)));
  return found;
}

/** @param {number} from @param {number} to @param {number} most */
function times(from, to, most) {
  const step = STEPS.find((one) => (to - from) / one <= most) ?? 2592000;
  const shift = new Date(from * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) found.push(at);
  return { found, step };
}

/** @param {number} at @param {number} step */
function tick(at, step) {
  const time = new Date(at * 1000);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  if (step >= 86400 || (time.getHours() === 0 && time.getMinutes() === 0 && step >= 3600)) return `${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${two(time.getHours())}:${two(time.getMinutes())}${step < 60 ? `:${two(time.getSeconds())}` : ""}`;
}

export class Plot {
  /** @param {(from: number, to: number) => void} zoom asked for another window, unix seconds; (0, 0) for the first */
  constructor(zoom) {
    this.zoom = zoom;
    this.from = 0;
    this.to = 1;
    /** @type {Course} */ this.course = { unit: "", width: 1, points: [], limits: [], joined: true };
    this.svg = s("svg", { class: "plot", height: HEIGHT, tabindex: 0, role: "img" });
    this.readout = h("p", { class: "readout" });
    this.element = h("div", {}, this.svg, this.readout);
    this.inner = 600;
    /** @type {number | null} */ this.pressed = null;
    this.cursor = -1;
    this.#listen();
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** @param {number} from @param {number} to @param {Course} course @param {string} title */
  show(from, to, course, title) {
    Object.assign(this, { from, to, course });
    this.svg.setAttribute("aria-label", `${title}: ${this.#summary()}. Arrow keys move, plus and minus zoom, 0 resets.`);
    this.draw();
  }

  #summary() {
    const { points, unit } = this.course;
    if (!points.length) return "no values in this time";
    const low = Math.min(...points.map((point) => point.low));
    const high = Math.max(...points.map((point) => point.high));
    return `from ${figures(low)} to ${figures(high)} ${unit}, last ${figures(points[points.length - 1].mean)} ${unit}`;
  }

  /** @param {number} at */
  #x(at) {
    return LEFT + ((at - this.from) / (this.to - this.from)) * this.inner;
  }

  /** @param {number} x */
  #time(x) {
    return this.from + ((Math.min(Math.max(x, LEFT), LEFT + this.inner) - LEFT) / this.inner) * (this.to - this.from);
  }

  draw() {
    const width = Math.max(280, this.element.clientWidth);
    this.inner = width - LEFT - RIGHT;
    const { points, limits } = this.course;
    const bounds = limits.flatMap((limit) => [limit.above, limit.below]).filter((bound) => bound !== null);
    const numbers = points.flatMap((point) => [point.low, point.high]);
    let [low, high] = [Math.min(...numbers, ...bounds), Math.max(...numbers, ...bounds)];
    if (!Number.isFinite(low)) [low, high] = [0, 1];
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    [low, high] = [low - room, high + room];
    const y = (/** @type {number} */ number) => TOP + ((high - number) / (high - low)) * (HEIGHT - TOP - FOOT);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(
      ...this.#axes(y, low, high),
      ...this.#bands(y, low, high),
      ...this.#line(y),
      s("rect", { class: "selection", x: 0, y: TOP, width: 0, height: HEIGHT - TOP - FOOT }),
      s("path", { class: "cursor", d: "" }),
    );
    if (!points.length) this.svg.append(s("text", { class: "nothing", x: LEFT + this.inner / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "No values in this time"));
    this.readout.textContent = "Drag or scroll to zoom, double click or 0 to reset.";
  }

  /** @param {(number: number) => number} y @param {number} low @param {number} high */
  #bands(y, low, high) {
    return this.course.limits.flatMap((limit) => {
      const [top, bottom] = [limit.above ?? high, limit.below ?? low];
      const made = [s("rect", { class: "within", x: LEFT, width: this.inner, y: y(Math.min(top, high)), height: Math.max(0, y(Math.max(bottom, low)) - y(Math.min(top, high))) })];
      for (const [bound, word] of /** @type {[number | null, string][]} */ ([[limit.above, "▲ above"], [limit.below, "▼ below"]])) {
        if (bound === null) continue;
        made.push(s("path", { class: "limit", d: `M${LEFT},${y(bound)}h${this.inner}` }));
        made.push(s("text", { class: "limit", x: LEFT + 6, y: y(bound) - 5, direction: "ltr" }, `${word} ${figures(bound)} ${this.course.unit} ${limit.alarm}`));
      }
      return made;
    });
  }

  /** @param {(number: number) => number} y @param {number} low @param {number} high */
  #axes(y, low, high) {
    const { found, step } = times(this.from, this.to, Math.max(2, this.inner / 90));
    const bottom = HEIGHT - FOOT;
    return [
      ...ticks(low, high).flatMap((at) => [
        s("path", { class: "grid", d: `M${LEFT},${y(at)}h${this.inner}` }),
        s("text", { x: LEFT - 8, y: y(at) + 4, "text-anchor": "end", direction: "ltr" }, figures(at)),
      ]),
      ...found.flatMap((at) => [
        s("path", { class: "grid", d: `M${this.#x(at)},${TOP}V${bottom}` }),
        s("text", { x: this.#x(at), y: bottom + 18, "text-anchor": "middle" }, tick(at, step)),
      ]),
      s("text", { x: 4, y: TOP + 2, direction: "ltr" }, this.course.unit),
    ];
  }

  /** Buckets without values are left out by the gateway: where they are missing, so is the line. @param {(number: number) => number} y */
  #line(y) {
    const { points, width, joined } = this.course;
    const steps = points.slice(1).map((point, place) => point.time - points[place].time).sort((a, b) => a - b);
    const gap = Math.max(4 * (steps[steps.length >> 1] ?? 0), 2.5 * width);
    let [line, range] = ["", ""];
    let before = -Infinity;
    for (const point of points) {
      const x = this.#x(point.time).toFixed(1);
      const begins = !joined || point.time - before > gap;
      line += `${begins ? "M" : "L"}${x},${y(point.mean).toFixed(1)}${begins ? "h0" : ""}`;
      range += `M${x},${y(point.low).toFixed(1)}V${y(point.high).toFixed(1)}`;
      before = point.time;
    }
    return [s("path", { class: "range", d: range }), s("path", { class: joined ? "line" : "line dots", d: line })];
  }

  #listen() {
    const at = (/** @type {PointerEvent | WheelEvent | MouseEvent} */ event) => event.clientX - this.svg.getBoundingClientRect().left;
    const svg = /** @type {any} */ (this.svg);
    svg.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      this.pressed = at(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      this.#read(this.#time(at(event)));
      if (this.pressed !== null) this.#select(this.pressed, at(event));
    });
    svg.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      const [a, b] = [this.pressed ?? 0, at(event)].sort((one, other) => one - other);
      if (this.pressed !== null && b - a > 8) this.zoom(this.#time(a), this.#time(b));
      this.pressed = null;
      this.#select(0, 0);
    });
    svg.addEventListener("pointercancel", () => (this.pressed = null));
    svg.addEventListener("dblclick", () => this.zoom(0, 0));
    svg.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      this.#scale(event.deltaY > 0 ? 1.5 : 1 / 1.5, this.#time(at(event)));
    }, { passive: false });
    svg.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const width = this.to - this.from;
    const middle = (this.from + this.to) / 2;
    const last = this.course.points.length - 1;
    switch (event.key) {
      case "+": case "=": this.#scale(0.5, middle); break;
      case "-": this.#scale(2, middle); break;
      case "0": this.zoom(0, 0); break;
      case "PageUp": this.zoom(this.from - width / 2, this.to - width / 2); break;
      case "PageDown": this.zoom(this.from + width / 2, this.to + width / 2); break;
      case "ArrowLeft": case "ArrowRight":
        if (event.shiftKey) {
          const step = (event.key === "ArrowLeft" ? -1 : 1) * width / 4;
          this.zoom(this.from + step, this.to + step);
        } else if (last >= 0) {
          const start = this.cursor < 0 ? last + 1 : this.cursor;
          this.cursor = Math.min(last, Math.max(0, start + (event.key === "ArrowLeft" ? -1 : 1)));
          this.#read(this.course.points[this.cursor].time);
        }
        break;
      default: return;
    }
    event.preventDefault();
  }

  /** @param {number} factor @param {number} around */
  #scale(factor, around) {
    const width = Math.min(Math.max((this.to - this.from) * factor, 10), 366 * 86400);
    const share = (around - this.from) / (this.to - this.from);
    this.zoom(around - share * width, around + (1 - share) * width);
  }

  /** @param {number} a @param {number} b */
  #select(a, b) {
    const box = this.svg.querySelector(".selection");
    box?.setAttribute("x", String(Math.max(LEFT, Math.min(a, b))));
    box?.setAttribute("width", String(Math.abs(a - b)));
  }

  /** Say what the point nearest to a time is. @param {number} time */
  #read(time) {
    const { points, unit } = this.course;
    let best = -1;
    points.forEach((point, place) => {
      if (best < 0 || Math.abs(point.time - time) < Math.abs(points[best].time - time)) best = place;
    });
    if (best < 0) return;
    const { time: at, low, mean, high } = points[best];
    this.cursor = best;
    this.svg.querySelector(".cursor")?.setAttribute("d", `M${this.#x(at).toFixed(1)},${TOP}V${HEIGHT - FOOT}`);
    const range = high > low ? ` (${figures(low)} … ${figures(high)})` : "";
    this.readout.replaceChildren(`${when(at)}  `, h("bdi", { dir: "ltr", class: "token" }, `${figures(mean)} ${unit}${range}`));
  }
}
