/** How values, units, times and states are written for people. */

import { h } from "./dom.js";

/**
 * @typedef {object} Observation
 * @property {number} seq
 * @property {string} uid
 * @property {string} device
 * @property {string} kind
 * @property {string} quantity
 * @property {string | null} code
 * @property {number | string | boolean | null} value
 * @property {string | null} unit
 * @property {string | null} comparator
 * @property {string | null} interpretation
 * @property {string[]} flags
 * @property {string} status
 * @property {string | null} specimen
 * @property {string | null} patient
 * @property {string | null} operator
 * @property {string | null} lot
 * @property {string | null} lot_expiry
 * @property {string | null} run
 * @property {string} time
 * @property {string | null} device_time
 * @property {string} received
 * @property {string} quality
 * @property {number} raw
 * @property {Record<string, any>} attributes
 */

/** @type {Record<string, string>} UCUM as laboratories write it, where the two differ */
const UNITS = {
  Cel: "°C", "[degF]": "°F", K: "K", "1": "", "[pH]": "pH", "[iU]/mL": "IU/mL", "[iU]/L": "IU/L", "U/L": "U/L",
  "m[iU]/L": "mIU/L", "10*3/uL": "10³/µL", "10*6/uL": "10⁶/µL", "10*9/L": "10⁹/L", "10*12/L": "10¹²/L", deg: "°",
  "mm[Hg]": "mmHg", "[ppm]": "ppm", "[ppb]": "ppb", "dB[mW]": "dBm", "[in_i]": "in", "[lb_av]": "lb", "10*": "×10",
};
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * A UCUM unit for the eye: `umol/L` is µmol/L, `10*3/uL` 10³/µL, `{copies}/mL` copies/mL.
 * @param {string | null | undefined} ucum
 */
export function unit(ucum) {
  if (!ucum) return "";
  const known = UNITS[ucum];
  if (known !== undefined) return known;
  return ucum
    .replace(/10\*(-?)(\d+)/g, (_, minus, digits) =>
      `10${minus ? "⁻" : ""}${[...digits].map((digit) => RAISED[Number(digit)]).join("")}`)
    .replace(/[{}]/g, "")
    .replace(/\[iU\]/g, "IU")
    .replace(/(^|[/.])u(?=[A-Za-z])/g, "$1µ")
    .replace(/\./g, "·");
}

/** @param {number} number at most seven figures: more is noise of the conversion */
export function figures(number) {
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(7)));
}

/**
 * The value of an observation without its unit.
 * @param {Observation} seen
 */
export function value(seen) {
  const { value: given, interpretation } = seen;
  if (typeof given === "number") return `${seen.comparator ?? ""}${figures(given)}`;
  if (typeof given === "boolean") return given ? "yes" : "no";
  if (given === null || given === "") return interpretation?.replaceAll("-", " ") ?? "—";
  return String(given);
}

/**
 * Value and unit as one token that reads left to right in any script: -80 must never become 80-.
 * @param {Observation} seen
 * @param {string} [className]
 */
export function token(seen, className = "token") {
  const shown = unit(seen.unit);
  const isNumber = typeof seen.value === "number";
  const number = h("span", { class: isNumber ? "number" : "word" }, value(seen));
  return h("bdi", { dir: isNumber ? "ltr" : "auto", class: className }, number, shown && isNumber && h("span", { class: "unit" }, ` ${shown}`));
}

/**
 * The call beside a number, where there is one and the value does not say it already.
 * @param {Observation} seen
 */
export function call(seen) {
  const text = seen.interpretation;
  if (!text || text === "normal" || value(seen).toLowerCase().replaceAll(/[ _]/g, "-") === text) return "";
  return text.replaceAll("-", " ");
}

/**
 * True for what must never be taken for a result.
 * @param {Observation} seen
 */
export function invalid(seen) {
  return seen.interpretation === "invalid" || seen.quality === "bad" || seen.status === "cancelled";
}

/** @param {string} name `sars-cov-2-ag` is easier to read with its dashes for a quantity of several words */
export function quantity(name) {
  return /^[a-z]+(-[a-z]+)+$/.test(name) ? name.replaceAll("-", " ") : name;
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86400)} d`;
}

const two = (/** @type {number} */ number) => String(number).padStart(2, "0");

/** @param {Date} at */
export function clock(at) {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/**
 * A moment: the time today, the date too on other days.
 * @param {string | number | null | undefined} moment RFC 3339 or unix seconds
 */
export function when(moment) {
  if (moment === null || moment === undefined) return "never";
  const at = typeof moment === "number" ? new Date(moment * 1000) : new Date(moment);
  if (Number.isNaN(at.getTime())) return String(moment);
  const today = at.toDateString() === new Date().toDateString();
  return today ? clock(at) : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}`;
}

/** @param {number} count @param {string} one @param {string} many */
export function counted(count, one, many) {
  return `${count} ${count === 1 ? one : many}`;
}
