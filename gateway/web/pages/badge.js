/** How grave an alarm is: by shape, number, word and colour. */

import { h } from "./dom.js";
import { gravity } from "./state.js";

/** @type {Record<string, string>} */
const SHAPES = { critical: "▲", high: "◆", medium: "●", low: "■" };

/** @param {string} priority */
export function badge(priority) {
  return h(
    "span", { class: `badge ${priority}` },
    h("span", { "aria-hidden": "true" }, `${SHAPES[priority] ?? "■"} `),
    `${gravity(priority)} ${priority}`,
  );
}
