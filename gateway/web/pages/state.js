/** What the page knows: a snapshot, then changes by seq. Plain data; nothing here draws. */

/** @typedef {import("./words.js").Observation} Observation */
/** @typedef {[number, number]} Point unix seconds, value */

/**
 * @typedef {object} Device
 * @property {string} id
 * @property {string} label
 * @property {string} room
 * @property {string} driver
 * @property {string} link
 * @property {string} address
 * @property {string} state
 * @property {string} detail
 * @property {string[]} peers
 * @property {number} messages
 * @property {number} refused
 * @property {number | null} last_received
 * @property {{quantity: string, above: number | null, below: number | null, alarm: string}[]} limits
 */

/**
 * @typedef {object} Alarm
 * @property {string} id
 * @property {string} alarm
 * @property {string} device
 * @property {string} quantity
 * @property {string} state
 * @property {string} priority
 * @property {string} title
 * @property {string} text
 * @property {string | null} raised
 * @property {string | null} cleared
 * @property {string | null} acknowledged_at
 * @property {string} acknowledged_by
 * @property {string} comment
 * @property {string | null} shelved_until
 * @property {string} shelved_by
 * @property {string} shelve_reason
 * @property {number | string | boolean | null} value
 * @property {number | null} limit
 * @property {string} explanation
 * @property {string} consequence
 * @property {string} action
 * @property {string | null} respond_by
 * @property {string} aside_by
 * @property {string} aside_reason
 */

/**
 * What keeps alarms from being raised; times are RFC 3339.
 * @typedef {object} Suppression
 * @property {string} suppression the configured one's id, or "maintenance"
 * @property {string} device
 * @property {string | null} since
 * @property {string | null} until
 * @property {string} by
 * @property {string} reason
 */

/**
 * @typedef {object} Store
 * @property {string} id
 * @property {boolean} connected
 * @property {number} cursor
 * @property {number} behind
 * @property {number} behind_seconds
 * @property {number} delivered
 * @property {number} refused
 * @property {number} resending
 * @property {string} last_error
 */

const POINTS = 60;
const RESULTS = 100;
const QUANTITIES = 50; // an instrument that invents quantities must not fill the page

export class State {
  constructor() {
    this.site = "";
    this.seq = 0;
    /** @type {Device[]} */ this.devices = [];
    /** @type {Map<string, Map<string, Observation>>} device, quantity: the last observation */
    this.values = new Map();
    /** @type {Map<string, Map<string, Point[]>>} device, quantity: recent numbers, oldest first */
    this.sparks = new Map();
    /** @type {Alarm[]} */ this.alarms = [];
    /** @type {Suppression[]} */ this.suppressions = [];
    /** @type {Store[]} */ this.sinks = [];
    /** @type {Observation[]} newest first */ this.results = [];
    /** @type {{part: string, detail: string}[]} */ this.failing = [];
    this.ahead = 0; // seconds the gateway's clock is ahead of ours
  }

  /** Unix seconds by the gateway's clock. */
  now() {
    return Date.now() / 1000 + this.ahead;
  }

  /**
   * Take in one message of the live connection; the devices that changed, or null for all.
   * @param {any} message
   * @returns {Set<string> | null}
   */
  take(message) {
    switch (message.type) {
      case "snapshot":
        this.#status(message);
        this.#snapshot(message);
        return null;
      case "delta":
        return this.#delta(message);
      case "alarms":
        this.standing(message);
        return null;
      case "beat":
        this.#status(message);
        return null;
      default:
        return new Set();
    }
  }

  /** @param {{items: Alarm[], suppressions: Suppression[]}} told as the gateway answers to whoever acts on an alarm */
  standing(told) {
    this.alarms = told.items;
    this.suppressions = told.suppressions;
  }

  /** @param {any} message */
  #status(message) {
    this.site = message.site;
    this.failing = message.failing;
    this.devices = message.devices;
    this.sinks = message.sinks;
    this.ahead = message.now - Date.now() / 1000;
  }

  /** @param {any} message */
  #snapshot(message) {
    this.seq = message.seq;
    this.standing({ items: message.alarms, suppressions: message.suppressions });
    this.results = message.results.reverse();
    this.values = new Map();
    this.sparks = new Map();
    for (const seen of message.values) this.#last(seen);
    for (const [device, quantities] of Object.entries(message.sparks)) {
      this.sparks.set(device, new Map(Object.entries(quantities)));
    }
  }

  /** @param {any} message */
  #delta(message) {
    /** @type {Set<string>} */ const changed = new Set();
    for (const seen of /** @type {Observation[]} */ (message.items)) {
      if (seen.seq <= this.seq) continue;
      this.seq = seen.seq;
      changed.add(seen.device);
      this.#last(seen);
      if (typeof seen.value === "number") this.#point(seen, seen.value);
      if (seen.kind === "result" || seen.kind === "qc") {
        this.results.unshift(seen);
        this.results.length = Math.min(this.results.length, RESULTS);
      }
    }
    return changed;
  }

  /** @param {Observation} seen */
  #last(seen) {
    let last = this.values.get(seen.device);
    if (!last) this.values.set(seen.device, (last = new Map()));
    const before = last.get(seen.quantity);
    if (before ? seen.time >= before.time : last.size < QUANTITIES) last.set(seen.quantity, seen);
  }

  /**
   * @param {Observation} seen
   * @param {number} number
   */
  #point(seen, number) {
    let sparks = this.sparks.get(seen.device);
    if (!sparks) this.sparks.set(seen.device, (sparks = new Map()));
    let points = sparks.get(seen.quantity);
    if (!points) sparks.set(seen.quantity, (points = []));
    if (sparks.size > QUANTITIES) sparks.delete(seen.quantity);
    const at = Date.parse(seen.time) / 1000;
    let place = points.length;
    while (place > 0 && points[place - 1][0] > at) place -= 1;
    points.splice(place, 0, [at, number]);
    if (points.length > POINTS) points.shift();
  }
}

/** @type {Record<string, number>} */
const GRAVITY = { critical: 1, high: 2, medium: 3, low: 4 };

/** @param {string} priority 1 is gravest */
export function gravity(priority) {
  return GRAVITY[priority] ?? 4;
}

const ASIDE = new Set(["shelved", "suppressed", "out-of-service"]);

/**
 * True while people should look at it; what is shelved, suppressed or out of service is out of sight, and counted.
 * @param {Alarm} alarm
 */
export function inSight(alarm) {
  return !ASIDE.has(alarm.state);
}

/**
 * True while a device cannot be heard: values it has are old.
 * @param {Device} device
 * @param {Map<string, Observation> | undefined} values
 */
export function withoutData(device, values) {
  return device.state === "waiting" || device.state === "stopped" || !values || values.size === 0;
}
