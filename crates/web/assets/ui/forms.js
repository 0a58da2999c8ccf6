/** Forms, and lists that are asked for. */

import { pageOf } from "../net/api.js";
import { attempt, fill, h, keepFocus, reason } from "./dom.js";

/** @param {string} name @param {string} label @param {Record<string, unknown>} [attributes] */
export const field = (name, label, attributes = {}) =>
  h("label.field", h("span", label), h("input", { name, ...attributes }));

/** @param {string} label @param {Properties<HTMLInputElement>} attributes */
export const check = (label, attributes) =>
  h("label.check", h("input", { type: "checkbox", ...attributes }), label);

/** @param {string} label @param {boolean} on @param {() => unknown} change */
export const toggle = (label, on, change) =>
  h(
    "button.switch-row",
    { role: "switch", "aria-checked": String(on), "aria-label": label, click: change },
    h("span", label),
    h("span.switch-knob", { "aria-hidden": "true" }),
  );

/**
 * A form with a button below. While what it asked for is under way it cannot be sent again.
 * @param {string} label of the button @param {(given: Record<string, string>) => unknown} send @param {...Child} children
 */
export function form(label, send, ...children) {
  const button = h("button.primary", { type: "submit" }, label);
  const element = h(
    "form",
    {
      submit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        await attempt(() => send(given(element)));
        button.disabled = false;
      },
    },
    children,
    h("div.buttons", button),
  );
  return element;
}

/** What was given, without spaces around it. A password is as it was typed. @param {HTMLFormElement} form */
const given = (form) =>
  Object.fromEntries(
    [...new FormData(form)].map(([name, value]) => [
      name,
      name.includes("password") ? String(value) : String(value).trim(),
    ]),
  );

/**
 * What a list shows of one thing: a picture, its title, a line under it, and what stands at the end.
 * @template {string} S
 * @param {S} tag @param {Properties<Made<S>> | null} properties
 * @param {Child} picture @param {Child} title @param {Child} line @param {...Child} rest
 */
export const row = (tag, properties, picture, title, line, ...rest) =>
  h(
    `${tag}.row`,
    /** @type {any} */ (properties ?? {}),
    picture,
    h(
      "span.row-text",
      h("span.row-title", { dir: "auto" }, title),
      line && h("span.row-line", { dir: "auto" }, line),
    ),
    rest,
  );

/** @param {Child} text */
export const empty = (text) => h("li.empty", text);

/**
 * A list that is asked for, page by page. `show` asks from the beginning.
 * @param {string} path @param {(item: any) => HTMLElement} row @param {string} none what it says where there is nothing
 * @param {(one: any, other: any) => number} [order] of the items of a page
 */
export function listing(path, row, none, order = () => 0) {
  const element = h("ul.picker", { tabindex: -1 }, empty("Loading…"));
  const more = async (/** @type {string | null} */ cursor = null) => {
    const { items, next_cursor } = await pageOf(path, cursor);
    const shown = cursor ? [...element.children].slice(0, -1) : [];
    const next =
      next_cursor && h("button.text-button", { click: () => attempt(() => more(next_cursor)) }, "Show more");
    const all = [...shown, ...items.sort(order).map(row)];
    keepFocus(element, element, () => fill(element, all.length ? all : empty(none), next && h("li.empty", next)));
  };
  const show = () => more().catch((error) => fill(element, empty(reason(error))));
  return { element, show };
}

/** A part of a window that is opened, and loads what it shows then. @param {string} title @param {(() => unknown) | null} load @param {...Child} children */
export const section = (title, load, ...children) =>
  h(
    "details.section",
    { toggle: ({ currentTarget }) => currentTarget.open && load?.() },
    h("summary", title),
    children,
  );
