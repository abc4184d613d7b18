// @ts-check
/** A trend: min-to-max band, mean line, limits as bands with labels, gaps as gaps. Drag or wheel to zoom, double click to go back. */
import { timeText, unitText } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 860, HEIGHT = 300, LEFT = 62, RIGHT = 12, TOP = 12, BOTTOM = 30;

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [text] */
function draw(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text) made.textContent = text;
  return made;
}

/** A line through points, broken where neighbours are further apart than gaps allow. @param {[number, number][]} points @param {number} gap */
export function path(points, gap) {
  let d = "", last = -Infinity;
  for (const [x, y, at] of /** @type {any} */ (points)) {
    d += `${at - last > gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    last = at;
  }
  return d;
}

/** A sparkline of [unix seconds, number]. @param {[number, number][]} points */
export function spark(points) {
  const svg = draw("svg", { viewBox: "0 0 100 26", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (points.length > 1) {
    const values = points.map((p) => p[1]), low = Math.min(...values), high = Math.max(...values);
    const from = points[0][0], span = points[points.length - 1][0] - from || 1, range = high - low || 1;
    const steps = points.slice(1).map((p, n) => p[0] - points[n][0]).sort((a, b) => a - b);
    const gap = Math.max(5 * steps[steps.length >> 1], 0.001);
    const placed = points.map(([t, v]) => [((t - from) / span) * 100, high === low ? 13 : 24 - ((v - low) / range) * 22, t]);
    svg.append(draw("path", { class: "spark", d: path(/** @type {any} */ (placed), gap) }));
  }
  return svg;
}

/** @param {number} low @param {number} high @param {number} count */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(10)));
  return found;
}

/**
 * @param {string} device @param {string} quantity @param {{above: number | null, below: number | null}[]} limits
 * @returns {{node: SVGElement, show: (hours: number) => Promise<void>}}
 */
export function trend(device, quantity, limits) {
  const svg = /** @type {SVGSVGElement} */ (draw("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: "0", role: "img", "aria-label": `${quantity} of ${device}` }));
  let from = 0, until = 0, whole = /** @type {[number, number]} */ ([0, 0]), busy = false;

  async function load() {
    if (busy) return;
    busy = true;
    try {
      const query = new URLSearchParams({ device, quantity, since: new Date(from).toISOString(), until: new Date(until).toISOString(), points: "600" });
      const answer = await fetch(`/api/v1/series?${query}`);
      if (answer.ok) paint(await answer.json());
    } finally {
      busy = false;
    }
  }

  /** @param {{points: number[][], unit: string | null, bucket: number}} series */
  function paint(series) {
    svg.replaceChildren();
    const points = series.points;
    const lines = limits.flatMap((l) => [l.above, l.below]).filter((l) => l !== null);
    const all = [...points.flatMap((p) => [p[1], p[3]]), ...(points.length ? lines : [])];
    if (!points.length) {
      svg.append(draw("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "no values in this time"));
      return;
    }
    let low = Math.min(...all), high = Math.max(...all);
    const margin = (high - low || Math.abs(high) || 1) * 0.08;
    low -= margin; high += margin;
    const x = (/** @type {number} */ t) => LEFT + ((t * 1000 - from) / (until - from)) * (WIDTH - LEFT - RIGHT);
    const y = (/** @type {number} */ v) => HEIGHT - BOTTOM - ((v - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    for (const { above, below } of limits) {
      const top = above === null ? TOP : y(above), bottom = below === null ? HEIGHT - BOTTOM : y(below);
      svg.append(draw("rect", { class: "inside", x: LEFT, y: top, width: WIDTH - LEFT - RIGHT, height: Math.max(0, bottom - top) }));
    }
    for (const at of ticks(low, high, 5)) {
      svg.append(draw("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at) }));
      svg.append(draw("text", { x: LEFT - 6, y: y(at) + 4, "text-anchor": "end" }, String(at)));
    }
    for (let n = 0; n <= 5; n++) {
      const at = from + ((until - from) * n) / 5;
      svg.append(draw("text", { x: x(at / 1000), y: HEIGHT - 8, "text-anchor": n === 0 ? "start" : n === 5 ? "end" : "middle" }, timeText(at)));
    }
    const steps = points.slice(1).map((p, n) => p[0] - points[n][0]).sort((a, b) => a - b);
    const gap = Math.max(5 * (steps[steps.length >> 1] ?? 1), 2.5 * series.bucket);
    for (const p of points) {
      if (p[3] > p[1]) svg.append(draw("line", { class: "range", stroke: "currentColor", x1: x(p[0]), x2: x(p[0]), y1: y(p[3]), y2: y(p[1]) }));
    }
    svg.append(draw("path", { class: "trace", d: path(/** @type {any} */ (points.map((p) => [x(p[0]), y(p[2]), p[0]])), gap) }));
    for (const { above, below } of limits) {
      for (const [value, word, mark] of /** @type {[number | null, string, string][]} */ ([[above, "HIGH", "▲"], [below, "LOW", "▼"]])) {
        if (value === null) continue;
        svg.append(draw("line", { class: "limit", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }));
        svg.append(draw("text", { class: "limit-text", x: WIDTH - RIGHT - 4, y: y(value) - 5, "text-anchor": "end", direction: "ltr" }, `${mark} ${word} ${value} ${unitText(series.unit)}`));
      }
    }
  }

  /** @param {number} a @param {number} b unix ms */
  function zoom(a, b) {
    if (b - a < 1000) return;
    from = a; until = b;
    load();
  }
  /** @param {MouseEvent} event */
  const moment = (event) => {
    const box = svg.getBoundingClientRect();
    const part = (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    return from + Math.min(1, Math.max(0, part)) * (until - from);
  };
  let start = /** @type {number | null} */ (null);
  svg.addEventListener("pointerdown", (event) => { start = moment(event); svg.setPointerCapture(event.pointerId); });
  svg.addEventListener("pointerup", (event) => {
    if (start !== null) { const end = moment(event); if (Math.abs(end - start) > (until - from) * 0.01) zoom(Math.min(start, end), Math.max(start, end)); }
    start = null;
  });
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const at = moment(event), factor = event.deltaY > 0 ? 1.4 : 1 / 1.4;
    zoom(at - (at - from) * factor, at + (until - at) * factor);
  }, { passive: false });
  svg.addEventListener("dblclick", () => zoom(...whole));
  svg.addEventListener("keydown", (event) => {
    const span = until - from, middle = from + span / 2;
    if (event.key === "+") zoom(middle - span / 4, middle + span / 4);
    else if (event.key === "-") zoom(middle - span, middle + span);
    else if (event.key === "ArrowLeft") zoom(from - span / 4, until - span / 4);
    else if (event.key === "ArrowRight") zoom(from + span / 4, until + span / 4);
    else if (event.key === "0") zoom(...whole);
  });
  return {
    node: svg,
    async show(hours) {
      until = Date.now(); from = until - hours * 3600e3; whole = [from, until];
      await load();
    },
  };
}
