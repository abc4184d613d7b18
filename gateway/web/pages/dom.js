/** Building the page from text. Nothing here ever reads its arguments as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An HTML element. Properties that are functions listen to the event of their name.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | ((event: any) => void)>} [properties]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  set(made, properties);
  for (const child of children) if (child) made.append(child);
  return made;
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} [properties]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, properties = {}, ...children) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SVG, tag));
  set(made, properties);
  for (const child of children) if (child) made.append(child);
  return made;
}

/**
 * @param {Element} element
 * @param {Record<string, string | number | boolean | ((event: any) => void)>} properties
 */
function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
}

/**
 * The element with this id; it is in index.html.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Change a text only where it differs, so that selections and screen readers are left in peace.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Change an attribute only where it differs.
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
