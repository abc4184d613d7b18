/** A plot of one quantity over time, in SVG: lowest and highest of each bucket, mean, limits, alarms, gaps. */

import { h, s, say } from "./dom.js";
import { readable } from "./explain.js";
import { clock, counted, figures, when } from "./words.js";

/** @typedef {{time: number, low: number, mean: number | null, high: number}} Bucket no mean: too large to be added up */
/** @typedef {{above: number | null, below: number | null, alarm: string}} Limit */
/** @typedef {{unit: string, width: number, points: Bucket[], limits: Limit[], joined: boolean}} Course `width` of a bucket in seconds; not `joined`: each stands by itself, as specimens do */
/** @typedef {{alarm: string, why: string, from: number, to: number, raised: boolean, cleared: boolean}} Spell when an alarm was on, as far as it is seen; not `raised`: it was on before; not `cleared`: it still is */

const HEIGHT = 320;
const LEFT = 64;
const RIGHT = 24;
const TOP = 34;
const STRIP = 20; // where the times of alarms are
const APART = 64; // px between labels
const LISTED = 50;
const SLACK = 8; // px a pointer may move and have moved nothing
const FOOT = 28;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

/** Round steps for a value axis. @param {number} low @param {number} high */
function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6 && found.length < 12; at += step) found.push(Number(at.toPrecision(10)));
  return found;
}

/** Whole minutes, hours, days of the place where one looks, or the first days of months: NaN. @param {number} from @param {number} to @param {number} most */
function times(from, to, most) {
  const step = STEPS.find((one) => (to - from) / one <= most) ?? NaN;
  const found = [];
  const first = new Date(from * 1000);
  if (Number.isNaN(step)) {
    const months = Math.ceil((to - from) / 2629746 / most);
    for (let n = 1; ; n += months) {
      const at = new Date(first.getFullYear(), first.getMonth() + n, 1).getTime() / 1000;
      if (at > to) return { found, step };
      found.push(at);
    }
  }
  const shift = first.getTimezoneOffset() * 60;
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) found.push(at);
  return { found, step };
}

/** @param {number} at @param {number} step */
function tick(at, step) {
  const time = new Date(at * 1000);
  const two = (/** @type {number} */ number) => String(number).padStart(2, "0");
  if (Number.isNaN(step)) return `${time.getFullYear()}-${two(time.getMonth() + 1)}`;
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
    this.readout = h("p", { class: "readout", "aria-live": "polite" });
    this.tools = h("div", { class: "spans", role: "group", "aria-label": "Move and zoom" }, ...this.#buttons());
    this.alarms = h("details", { class: "spells", hidden: true }, h("summary"), h("ul", { class: "rows" }));
    this.element = h("div", {}, this.svg, this.readout, this.tools, this.alarms);
    this.inner = 600;
    /** @type {Spell[]} */ this.spells = [];
    /** @type {number | null} x where a window is being chosen from */ this.pressed = null;
    /** @type {{x: number, time: number, from: number, to: number} | null} what is being dragged along */ this.held = null;
    this.moved = false;
    this.known = false; // what is there to show
    this.cursor = -1;
    this.#listen();
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Something else is to be shown: nothing of what was must stand for it. */
  wait() {
    this.known = false;
    this.course = { ...this.course, points: [], limits: [] };
    this.cursor = -1;
    this.mark([]);
  }

  /** @param {number} from @param {number} to @param {Course} course @param {string} title */
  show(from, to, course, title) {
    const read = this.course.points[this.cursor]?.time;
    Object.assign(this, { from, to, course, known: true });
    this.cursor = course.points.findIndex((point) => point.time === read);
    this.svg.setAttribute("aria-label", `${title}: ${this.#summary()}. Arrow keys read, with Shift they move, plus and minus zoom, 0 resets.`);
    this.draw();
  }

  /** The alarms of the time shown. @param {Spell[]} spells */
  mark(spells) {
    this.spells = spells;
    this.alarms.hidden = !spells.length;
    const [title, list] = this.alarms.children;
    say(title, `${counted(spells.length, "alarm", "alarms")} in this time`);
    const latest = [...spells].sort((one, other) => other.from - one.from).slice(0, LISTED);
    list.replaceChildren(...latest.map((spell) => h("li", {}, h("span", { class: "what" },
      h("bdi", { class: "where" }, spell.alarm),
      h("bdi", { dir: "ltr", class: "since" }, `${spell.raised ? when(spell.from) : "before"} … ${spell.cleared ? when(spell.to) : "still on"}`),
      h("bdi", { dir: "ltr", class: "why" }, readable(spell.why))))));
    this.draw();
  }

  #buttons() {
    const part = (/** @type {number} */ share) => () => this.#go(this.from + share * (this.to - this.from), this.to + share * (this.to - this.from));
    const scale = (/** @type {number} */ factor) => () => this.#scale(factor, (this.from + this.to) / 2);
    const made = /** @type {[string, () => void][]} */ ([["Earlier", part(-0.5)], ["Later", part(0.5)], ["Zoom in", scale(0.5)], ["Zoom out", scale(2)], ["Reset", () => this.#go(0, 0)]]);
    return made.map(([word, click]) => h("button", { type: "button", click }, word));
  }

  #summary() {
    const { points, unit } = this.course;
    if (!points.length) return "no values in this time";
    const told = (/** @type {number} */ number) => `\u2066${figures(number)} ${unit}\u2069`; // one token, also where text goes from right to left
    const last = points[points.length - 1];
    return `from ${told(Math.min(...points.map((point) => point.low)))} to ${told(Math.max(...points.map((point) => point.high)))}, last ${told(last.mean ?? last.high)}`;
  }

  /** Another window: what is known of it at once, the rest when it comes; (0, 0) for the first. @param {number} from @param {number} to */
  #go(from, to) {
    if (to > from) {
      Object.assign(this, { from, to });
      this.draw();
    }
    this.zoom(from, to);
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
      s("svg", { x: LEFT, width: this.inner, height: HEIGHT, viewBox: `${LEFT} 0 ${this.inner} ${HEIGHT}` }, ...this.#line(y)),
      ...this.#marks(),
      s("rect", { class: "selection", x: 0, y: TOP, width: 0, height: HEIGHT - TOP - FOOT }),
      s("path", { class: "cursor", d: "" }),
    );
    if (!points.length) this.svg.append(s("text", { class: "nothing", x: LEFT + this.inner / 2, y: HEIGHT / 2, "text-anchor": "middle" }, this.known ? "No values in this time" : "Waiting for values"));
    if (this.cursor < 0) say(this.readout, "Drag or scroll to zoom, drag with Shift or a finger to move, double click or 0 to reset.");
    else this.#tell(this.cursor);
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
        s("text", { x: this.#x(at), y: bottom + 18, "text-anchor": "middle", direction: "ltr" }, tick(at, step)),
      ]),
      s("text", { x: 4, y: 12, direction: "ltr" }, this.course.unit),
    ];
  }

  /** Buckets without values are left out by the gateway: where they are missing, so is the line. @param {(number: number) => number} y */
  #line(y) {
    const { points, width, joined } = this.course;
    const steps = points.slice(1).map((point, place) => point.time - points[place].time).sort((a, b) => a - b);
    const gap = Math.max(4 * (steps[steps.length >> 1] ?? 0), 2.5 * width);
    /** @type {Bucket[][]} */ const pieces = [];
    let before = -Infinity;
    for (const point of points) {
      if (!joined || point.time - before > gap) pieces.push([]);
      pieces[pieces.length - 1].push(point);
      before = point.time;
    }
    let [line, range] = ["", ""];
    for (const piece of pieces) {
      const edge = (/** @type {Bucket} */ point, /** @type {number} */ at) => `${this.#x(point.time).toFixed(1)},${y(at).toFixed(1)}`;
      range += `M${[...piece.map((point) => edge(point, point.high)), ...piece.map((point) => edge(point, point.low)).reverse()].join("L")}Z`;
      const means = piece.flatMap((point) => (point.mean === null ? [] : [edge(point, point.mean)]));
      if (means.length) line += `M${means.join("L")}h0`;
    }
    return [s("path", { class: "range", d: range }), s("path", { class: joined ? "line" : "line dots", d: line })];
  }

  /** A strip where an alarm was on, a line and the time where it came. */
  #marks() {
    const within = (/** @type {number} */ at) => Math.min(Math.max(this.#x(at), LEFT), LEFT + this.inner);
    const until = (/** @type {Spell} */ spell) => (spell.cleared ? spell.to : Math.max(spell.to, Date.now() / 1000));
    const seen = this.spells.filter((spell) => spell.from <= this.to && until(spell) >= this.from);
    const raised = seen.filter((spell) => spell.raised && spell.from >= this.from);
    const places = [...new Set(raised.map((spell) => Math.round(this.#x(spell.from))))].sort((one, other) => one - other);
    const long = this.to - this.from > 86400;
    const made = [
      s("path", { class: "spell", d: seen.map((spell) => `M${within(spell.from).toFixed(1)},${STRIP}H${(within(until(spell)) + 2).toFixed(1)}`).join("") }),
      s("path", { class: "raised", d: places.map((x) => `M${x},${STRIP}V${HEIGHT - FOOT}`).join("") }),
    ];
    let free = 40; // the unit stands before
    for (const x of places) {
      if (x - APART / 2 < free) continue;
      const at = this.#time(x);
      made.push(s("text", { class: "raised", x, y: STRIP - 6, "text-anchor": "middle", direction: "ltr" }, `▲ ${long ? tick(at, 86400) : clock(new Date(at * 1000)).slice(0, 5)}`));
      free = x + APART / 2;
    }
    return made;
  }

  #listen() {
    const at = (/** @type {PointerEvent | WheelEvent | MouseEvent} */ event) => event.clientX - this.svg.getBoundingClientRect().left;
    const svg = /** @type {any} */ (this.svg);
    svg.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      if (event.shiftKey || event.pointerType === "touch") this.held = { x: at(event), time: this.#time(at(event)), from: this.from, to: this.to };
      else this.pressed = at(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (this.held) this.#drag(at(event), this.held);
      else this.#read(this.#time(at(event)));
      if (this.pressed !== null) this.#select(this.pressed, at(event));
    });
    svg.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => {
      const [a, b] = [this.pressed ?? 0, at(event)].sort((one, other) => one - other);
      if (this.pressed !== null && b - a > SLACK) this.#go(this.#time(a), this.#time(b));
      if (this.moved) this.#go(this.from, this.to);
      else if (this.held) this.#read(this.held.time); // a finger's tap
      this.#let();
    });
    svg.addEventListener("pointercancel", () => {
      if (this.held) Object.assign(this, { from: this.held.from, to: this.held.to });
      this.#let();
      this.draw();
    });
    svg.addEventListener("dblclick", () => this.#go(0, 0));
    svg.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const aside = (event.deltaX / this.inner) * (this.to - this.from);
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.#go(this.from + aside, this.to + aside);
      else this.#scale(event.deltaY > 0 ? 1.5 : 1 / 1.5, this.#time(at(event)));
    }, { passive: false });
    svg.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
  }

  /** True while a person draws: what comes in must not move it away. */
  get busy() {
    return this.pressed !== null || this.held !== null;
  }

  #let() {
    [this.pressed, this.held, this.moved] = [null, null, false];
    this.#select(0, 0);
  }

  /** What was taken hold of stays under the pointer. @param {number} x @param {{x: number, time: number, from: number, to: number}} held */
  #drag(x, held) {
    if (!this.moved && Math.abs(x - held.x) <= SLACK) return;
    const width = held.to - held.from;
    this.from = held.time - ((x - LEFT) / this.inner) * width;
    this.to = this.from + width;
    this.moved = true;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const width = this.to - this.from;
    const middle = (this.from + this.to) / 2;
    const last = this.course.points.length - 1;
    switch (event.key) {
      case "+": case "=": this.#scale(0.5, middle); break;
      case "-": this.#scale(2, middle); break;
      case "0": this.#go(0, 0); break;
      case "PageUp": this.#go(this.from - width / 2, this.to - width / 2); break;
      case "PageDown": this.#go(this.from + width / 2, this.to + width / 2); break;
      case "ArrowLeft": case "ArrowRight":
        if (event.shiftKey) {
          const step = (event.key === "ArrowLeft" ? -1 : 1) * width / 4;
          this.#go(this.from + step, this.to + step);
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
    this.#go(around - share * width, around + (1 - share) * width);
  }

  /** @param {number} a @param {number} b */
  #select(a, b) {
    const box = this.svg.querySelector(".selection");
    box?.setAttribute("x", String(Math.max(LEFT, Math.min(a, b))));
    box?.setAttribute("width", String(Math.abs(a - b)));
  }

  /** Say what the point nearest to a time is. @param {number} time */
  #read(time) {
    const { points } = this.course;
    let best = -1;
    points.forEach((point, place) => {
      if (best < 0 || Math.abs(point.time - time) < Math.abs(points[best].time - time)) best = place;
    });
    if (best >= 0) this.#tell(best);
  }

  /** @param {number} place of a point */
  #tell(place) {
    this.cursor = place;
    const { time, low, mean, high } = this.course.points[place];
    this.svg.querySelector(".cursor")?.setAttribute("d", `M${this.#x(time).toFixed(1)},${TOP}V${HEIGHT - FOOT}`);
    const range = high > low ? ` (${figures(low)} … ${figures(high)})` : "";
    const [at, told] = [`${when(time)}  `, `${mean === null ? "—" : figures(mean)} ${this.course.unit}${range}`];
    if (this.readout.textContent !== at + told) this.readout.replaceChildren(at, h("bdi", { dir: "ltr", class: "token" }, told));
  }
}
