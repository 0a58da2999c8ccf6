/** Making elements, and keeping lists of them. Text is always text: nothing here reads markup. */

/**
 * Makes an element. Its classes stand behind its name: `h("span.row-title", name)`. Of the properties,
 * functions are listeners, `true` and `false` are attributes that are there or not, all others
 * attributes. They may be left out.
 * @template {string} S
 * @param {S} tag @param {Properties<Made<S>> | Child} [properties] @param {...Child} children
 * @returns {Made<S>}
 */
export function h(tag, properties, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (name === "button") element.setAttribute("type", "button");
  element.classList.add(...classes.filter(Boolean));
  if (isChild(properties)) children.unshift(properties);
  else {
    for (const [name, value] of Object.entries(properties)) {
      if (typeof value === "function") element.addEventListener(name, /** @type {any} */ (value));
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined)
        element.setAttribute(name, String(value));
    }
  }
  fill(element, ...children);
  return /** @type {never} */ (element);
}

/** @param {object | Child} it @returns {it is Child} */
const isChild = (it) => !it || typeof it === "string" || it instanceof Node || Array.isArray(it);

/** @param {Element} element @param {...Child} children */
export function fill(element, ...children) {
  element.replaceChildren(.../** @type {any[]} */ (children).flat(Infinity).filter(Boolean));
}

/** @param {ParentNode} parent @param {string} selector @returns {HTMLElement[]} */
export const every = (parent, selector) =>
  [...parent.querySelectorAll(selector)].map((it) => /** @type {any} */ (it));

/** What each kept element was made from. @type {WeakMap<Element, string>} */
const stamps = new WeakMap();

/** What an element would be made anew for, in one string. @param {...unknown} parts */
export const stamp = (...parts) => parts.join("\u0000");

/** The control that is being pressed. @type {Element | null} */
let pressed = null;
/** What is to be done after it. @type {Map<Element, () => void>} */
const postponed = new Map();
const release = () => {
  pressed = null;
  const works = [...postponed.values()];
  postponed.clear();
  for (const work of works) work();
};
const press = (/** @type {PointerEvent} */ { target, button }) =>
  (pressed = target instanceof Element && !button ? target.closest("a, button") : null);
addEventListener("pointerdown", press, true);
addEventListener("click", () => (pressed = null), true);
for (const end of ["pointerup", "pointercancel", "contextmenu"]) {
  // The click comes between.
  addEventListener(end, () => setTimeout(release), true);
}

/**
 * Says whether something in an element is being pressed: if it were made anew meanwhile, the press would
 * be lost. What is to be done is done once that is over.
 * @param {Element} element @param {() => void} work
 */
export function isPressed(element, work) {
  const is = element.contains(pressed);
  if (is) postponed.set(element, work);
  return is;
}

/** Fills an element where it would look different. @param {HTMLElement} element @param {string} mark @param {() => Child} make */
export function refill(element, mark, make) {
  if (isPressed(element, () => refill(element, mark, make)) || stamps.get(element) === mark) return;
  stamps.set(element, mark);
  keepFocus(element, element, () => fill(element, make()));
}

/**
 * Makes the children of an element those of a list, and keeps the elements of what did not change: the
 * stamp is another one whenever an element would look different.
 * @param {HTMLElement} parent
 * @param {{key: string, stamp: string, make: () => HTMLElement}[]} items
 */
export function keyed(parent, items) {
  const old = new Map(every(parent, ":scope > *").map((child) => [child.dataset.key, child]));
  // What goes, goes first: nothing that stays is moved for it, which would take the focus from it.
  const keys = new Set(items.map(({ key }) => key));
  for (const [key, element] of old) if (!keys.has(key ?? "")) element.remove();
  let place = parent.firstElementChild;
  for (const { key, stamp, make } of items) {
    const known = old.get(key);
    let element = known;
    if (!element || stamps.get(element) !== stamp) {
      const made = (element = make());
      made.dataset.key = key;
      stamps.set(made, stamp);
      if (place === known) place = made;
      if (known) keepFocus(known, made, () => known.replaceWith(made));
    }
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
}

/**
 * Makes an element or what it holds anew. If the focus was in it, it goes to the same control as before.
 * @param {HTMLElement} old @param {HTMLElement} made what stands in its place then @param {() => void} renew
 */
export function keepFocus(old, made, renew) {
  const focused = document.activeElement;
  const had = old.contains(focused);
  renew();
  if (had && !made.contains(document.activeElement)) focusLike(focused, made);
}

/** @param {Element | null} control @param {HTMLElement} row that holds the same one */
function focusLike(control, row) {
  // What can be done with a message shows itself once the focus is in it.
  row.focus({ preventScroll: true });
  const isSame = (/** @type {HTMLElement} */ it) =>
    it === control || (it.tagName === control?.tagName && it.ariaLabel === control.ariaLabel);
  every(row, "a, button").find(isSame)?.focus({ preventScroll: true });
}

/** Gives the focus back to a control, or to the one in its place where its row was made anew meanwhile. @param {Element | null} control */
export function refocus(control) {
  const key = /** @type {HTMLElement | undefined} */ (control?.closest("[data-key]"))?.dataset.key;
  const row = every(document, "[data-key]").find((it) => it.dataset.key === key);
  if (key && row) focusLike(control, row);
  else if (control instanceof HTMLElement) control.focus({ preventScroll: true });
}

/** @param {string} name @param {string} label @param {Press} click @param {string} [more] its classes */
export const iconButton = (name, label, click, more = "") =>
  h(`button.icon-button.${more}`, { "aria-label": label, title: label, click }, icon(name));

const SHAPES = /** @type {Record<string, string>} */ ({
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  search: "M10.5 17a6.5 6.5 0 100-13 6.5 6.5 0 000 13zM15.5 15.5L20 20",
  send: "M5 12h13M12 5.5l6.5 6.5-6.5 6.5",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  reply: "M9 7l-5 5 5 5M4 12h9a6 6 0 016 6",
  smile: "M12 21a9 9 0 100-18 9 9 0 000 18zM8.5 14.5a4.5 4.5 0 007 0M9 9.5h.01M15 9.5h.01",
  edit: "M5 19l1-4L16.5 4.5l3 3L9 18l-4 1z",
  bin: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13",
  pin: "M9 4h6l-1 6 3.5 3.5h-11L10 10 9 4zM12 13.5V20",
  mute: "M6 16V11a6 6 0 019-5.2M18 10.5V16l1.5 2H8M10 21h4M4 4l16 16",
  info: "M12 21a9 9 0 100-18 9 9 0 000 18zM12 11v5M12 8h.01",
  down: "M6 9.5l6 6 6-6",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  sent: "M5 12.5l4.5 4.5L19 7.5",
  twice: "M2.5 12.5L7 17l9.5-9.5M12.5 16l1 1L23 7.5",
  clock: "M12 21a9 9 0 100-18 9 9 0 000 18zM12 7v5l3 2",
  warn: "M12 4l9 16H3L12 4zM12 10v4M12 17h.01",
  link: "M10 14a4 4 0 006 .5l3-3a4 4 0 00-6-6l-1 1M14 10a4 4 0 00-6-.5l-3 3a4 4 0 006 6l1-1",
  people:
    "M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20a6.5 6.5 0 0113 0M16 4.5a3.5 3.5 0 010 6.5M18 14.5a6.5 6.5 0 013.5 5.5",
  archive: "M4 5h16v4H4zM5.5 9v10h13V9M10 13h4",
  channel: "M4 10v4h3l8 5V5l-8 5H4zM18.5 9a4 4 0 010 6",
});

/** @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** Says something in passing. @param {string} text */
export function toast(text) {
  const note = h("div.toast", text);
  showToasts([note]);
  setTimeout(() => note.remove(), 5_000);
}

/** Shows them in the window that is on top: what is outside of it is covered, and silent. @param {Element[]} notes */
export const showToasts = (notes) => every(document, ".toasts").at(-1)?.append(...notes);

/** Does what a person asked for, and says so where it fails. Says whether it was done. @param {() => unknown} work */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(reason(error));
    return false;
  }
}

/** How the server's fields are called here. @type {Record<string, string>} */
const FIELDS = {
  username: "The user name",
  email: "The e-mail address",
  password: "The password",
  new_password: "The new password",
  display_name: "Your name",
  about: "What you tell about you",
  name: "The name",
  description: "The description",
};

/** Why something failed, as sentences. @param {any} error */
export function reason(error) {
  if (error?.code === "invalid_credentials") return "This is not your password.";
  /** @type {{field: string, message: string}[]} */
  const faults = error?.errors ?? [];
  const named = faults.filter(({ field }) => FIELDS[field]);
  // It goes on from the name of the field, or is a sentence of its own.
  const whole = ({ field = "", message = "" }) => (/^(is|must) /.test(message) ? `${FIELDS[field]} ${message}` : message);
  if (named.length) return named.map((it) => sentence(whole(it))).join(" ");
  return error instanceof Error && error.message ? sentence(error.message) : "That did not work.";
}

/** @param {string} text */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** Copies a text, where the browser lets a page do so. @param {string} text */
export async function copy(text) {
  const copied = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  );
  toast(copied ? "Copied." : "This browser does not let this page copy. Select the text to copy it.");
}
