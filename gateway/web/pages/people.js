/** What the page asks people, and what it tells them back. */

import { byId, say } from "./dom.js";
import { Refusal } from "./live.js";

const NAME = "assaygate.person";

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

/** The person's name: asked once, remembered by this browser. */
export async function person() {
  return localStorage.getItem(NAME) || ask();
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
  said.textContent = text;
  said.hidden = false;
  clearTimeout(clearing);
  clearing = setTimeout(() => (said.hidden = true), 6000);
}

function show() {
  const name = localStorage.getItem(NAME);
  say(byId("person"), name ? `As ${name}` : "Say who you are");
}

/** Make the dialogs and the name in the header work. */
export function start() {
  show();
  byId("person").addEventListener("click", () => attempt(ask));
  for (const button of document.querySelectorAll("dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog")?.close());
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    // A click on the shade beside the dialog.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
}
