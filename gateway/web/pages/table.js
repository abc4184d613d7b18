/** Tables that become cards on a phone, and lists that keep the focus when they change. */

import { h } from "./dom.js";
import { when } from "./words.js";

/** A cell that carries its column's name onto a phone. @param {string} name @param {...import("./dom.js").Child} what */
export function cell(name, ...what) {
  return h("td", { "data-name": name }, h("span", {}, ...what));
}

/** A moment as one token that reads left to right in any script. @param {string | null} at @param {string} [className] */
export function moment(at, className = "") {
  return h("time", { datetime: at ?? "", class: className, dir: "ltr" }, when(at));
}

/** @param {string} title @param {string[]} names @param {HTMLElement[]} rows */
export function table(title, names, rows) {
  return h(
    "div", {},
    h("h3", {}, title),
    rows.length
      ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
        h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows)))
      : h("p", { class: "calm" }, "None."),
  );
}

/**
 * Fill a list where it differs; focus stays at its place.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items
 * @param {(one: T) => HTMLElement} row
 * @param {any} [beside] what rows show besides their items
 */
export function fill(list, items, row, beside) {
  const key = JSON.stringify([items, beside]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const focused = list.contains(document.activeElement) ? document.activeElement?.getAttribute("aria-label") : null;
  list.replaceChildren(...items.map(row));
  if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
}
