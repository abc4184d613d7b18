/** What the page asks people, and what it tells them back. */

import { byId, h, say } from "./dom.js";
import { ask as askGateway, Refusal } from "./live.js";

const NAME = "assaygate.person";

/** @type {{name: string, role: string, how: string} | null} who we are to a gateway where people sign in */
let signedIn = null;

/** A dialog was closed without an answer. */
class Never extends Error {}

/**
 * Open a dialog of index.html until it is answered. Errors: Never.
 * @param {HTMLDialogElement} dialog
 */
function answered(dialog) {
  return new Promise((resolve, reject) => {
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => (dialog.returnValue === "ok" ? resolve(null) : reject(new Never())), { once: true });
  });
}

/** The person's name: who is signed in, or where nobody has to be what was asked once and this browser remembers. */
export async function person() {
  return signedIn?.name || localStorage.getItem(NAME) || ask();
}

async function ask() {
  const input = byId("person-name");
  input.value = localStorage.getItem(NAME) ?? "";
  await answered(byId("ask-person"));
  const name = input.value.trim();
  if (!name) throw new Never();
  localStorage.setItem(NAME, name);
  show();
  return name;
}

/**
 * For how long, and why.
 * @param {string} what
 */
export async function asked(what) {
  say(byId("shelve-what"), what);
  const reason = byId("shelve-reason");
  reason.value = "";
  await answered(byId("ask-shelve"));
  return { minutes: Number(byId("shelve-minutes").value), reason: reason.value.trim() || "no reason given" };
}

/**
 * One question of a form.
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "choice" | "check" | "moment"} kind
 * @property {boolean} [needed] a text that must not be blank
 * @property {[string | number, string][]} [choices] value and word; the first is chosen
 */

export const REASON = /** @type {Field} */ ({ name: "why", label: "Because", kind: "text", needed: true });
export const COMMENT = /** @type {Field} */ ({ name: "comment", label: "Comment", kind: "text" });

/** @param {Field} field */
function control(field) {
  switch (field.kind) {
    case "choice":
      return h("select", { name: field.name }, ...(field.choices ?? []).map(([value, word]) => h("option", { value, dir: "auto" }, word)));
    case "check":
      return h("input", { name: field.name, type: "checkbox" });
    case "moment":
      return h("input", { name: field.name, type: "datetime-local", value: local(new Date()), required: true });
    default:
      return h("input", { name: field.name, maxlength: 1000, dir: "auto", ...(field.needed && { required: true, pattern: ".*\\S.*", title: "Something must be written here" }) });
  }
}

/** @param {Date} at as a field for moments wants it, by the wall clock here */
function local(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/**
 * Ask by a form: what was answered, by the fields' names. Errors: Never.
 * @param {string} title
 * @param {string} what it is about
 * @param {string} word on the button
 * @param {...Field} fields
 * @returns {Promise<Record<string, any>>}
 */
export async function filled(title, what, word, ...fields) {
  const controls = /** @type {HTMLInputElement[]} */ (fields.map(control));
  say(byId("ask-form-title"), title);
  say(byId("ask-form-what"), what);
  say(byId("ask-form-word"), word);
  byId("ask-form-fields").replaceChildren(...fields.map((field, place) =>
    h("label", { class: field.kind === "check" ? "check" : "" }, ...(field.kind === "check" ? [controls[place], field.label] : [field.label, controls[place]]))));
  await answered(byId("ask-form"));
  return Object.fromEntries(fields.map((field, place) => {
    const one = controls[place];
    return [field.name, field.kind === "check" ? one.checked : field.kind === "moment" ? new Date(one.value).toISOString() : one.value.trim()];
  }));
}

/**
 * Do something and say so where it could not be done.
 * @template T
 * @param {() => Promise<T>} act
 * @returns {Promise<T | null>}
 */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Refusal) tell(error.message);
    else if (!(error instanceof Never)) throw error;
    return null;
  }
}

let clearing = 0;

/** @param {string} text shown for a while at the foot of the page */
export function tell(text) {
  const said = byId("said");
  // What lies beside an open dialog is neither in front of it nor read aloud.
  ([...document.querySelectorAll("dialog[open]")].pop() ?? document.body).append(said);
  said.textContent = text;
  said.hidden = false;
  clearTimeout(clearing);
  clearing = setTimeout(() => (said.hidden = true), 6000);
}

function show() {
  const name = localStorage.getItem(NAME);
  if (signedIn) say(byId("person"), signedIn.how === "loopback" ? "Sign in" : `${signedIn.name}, ${signedIn.role}`);
  else say(byId("person"), name ? `As ${name}` : "Say who you are");
}

async function look() {
  const told = await askGateway("/api/v1/person");
  if (told.people) signedIn = told;
  show();
}

/** Make the dialogs and the name in the header work. */
export function start() {
  show();
  attempt(look);
  byId("person").addEventListener("click", () => (signedIn ? location.assign("/login") : attempt(ask)));
  for (const button of document.querySelectorAll("dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog")?.close());
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    // A click on the shade beside the dialog.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
}
