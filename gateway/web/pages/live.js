/** The connection to the gateway: opened again for ever, and honest about its silence. */

const SILENT = 4000; // ms; the gateway gives a sign of life every two seconds
const SLOWEST = 15000;

export class Live {
  /**
   * @param {(message: any) => void} take called with each message
   * @param {(since: Date | null) => void} old since when nothing was heard; null while the connection is good
   */
  constructor(take, old) {
    this.take = take;
    this.old = old;
    this.heard = new Date();
    this.opened = Date.now();
    this.tries = 0;
    this.good = false;
    /** @type {WebSocket | null} */ this.socket = null;
    this.open();
    setInterval(() => this.look(), 500);
    // A laptop that wakes or a phone that comes back need not wait for the next try.
    addEventListener("online", () => this.socket || this.open());
  }

  open() {
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/live`);
    this.socket = socket;
    this.opened = Date.now();
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      this.heard = new Date();
      this.tries = 0;
      this.take(JSON.parse(event.data));
      if (!this.good) {
        this.good = true;
        this.old(null);
      }
    });
    socket.addEventListener("close", () => socket === this.socket && this.lost());
  }

  look() {
    if (Date.now() - this.heard.getTime() < SILENT) return;
    this.silent();
    // A connection that says nothing is no connection: a cable may have been pulled.
    const socket = this.socket;
    if (socket && Date.now() - Math.max(this.opened, this.heard.getTime()) > 3 * SILENT) {
      this.socket = null;
      socket.close();
      this.again();
    }
  }

  silent() {
    this.good = false;
    this.old(this.heard);
  }

  lost() {
    this.socket = null;
    this.silent();
    this.again();
  }

  again() {
    this.tries += 1;
    const wait = Math.min(SLOWEST, 500 * 2 ** Math.min(this.tries, 6)) * (0.5 + Math.random() / 2);
    setTimeout(() => this.socket || this.open(), wait);
  }
}

/** Something the gateway would not do, in its own words. */
export class Refusal extends Error {}

/**
 * Ask the gateway. Errors: Refusal.
 * @param {string} path
 * @param {object} [body] sent by POST
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  let response;
  try {
    response = await fetch(path, body && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Refusal("The gateway does not answer.");
  }
  if (response.status === 401) location.assign("/login");
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal([answer.error ?? response.statusText, answer.remedy].filter(Boolean).join(". "));
  return answer;
}
