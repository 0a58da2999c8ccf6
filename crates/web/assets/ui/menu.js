/** What opens beside a button: a menu, and a small choice of emoji. */

import { every, h, refocus } from "./dom.js";

/** What people mostly answer with. */
const QUICK = ["👍", "❤️", ..."😂😮😢🙏🎉🔥👏👀✅🤔"];

/** @typedef {{label: string, kind?: string, choose: () => unknown} | false} Item */

/** @param {HTMLElement} beside @param {(emoji: string) => unknown} choose */
export const chooseEmoji = (beside, choose) =>
  popup(
    beside,
    "emoji",
    "Reactions",
    QUICK.map((label) => ({ label, choose: () => choose(label) })),
  );

/** @param {HTMLElement} beside @param {Item[]} items */
export const menu = (beside, items) => popup(beside, "menu", "What can be done", items);

/** Closes the one that is open. */
export const closePopup = () => every(document, ".popup:popover-open")[0]?.hidePopover();

/** Shows something beside an element until it is chosen from or left. @param {HTMLElement} beside @param {string} look @param {string} name @param {Item[]} items */
function popup(beside, look, name, items) {
  const content = h(
    `div.popup.${look}`,
    {
      popover: "auto",
      role: "menu",
      "aria-label": name,
      beforetoggle: ({ newState, currentTarget }) => {
        beside.ariaExpanded = String(newState === "open");
        const { activeElement: focused, body } = document;
        // Whoever has pressed something else is there already.
        if (newState === "closed" && (focused === body || currentTarget.contains(focused))) refocus(beside);
      },
      toggle: ({ newState, currentTarget }) => newState === "closed" && currentTarget.remove(),
      keydown,
    },
    items.map((it) => it && h(`button.${it.kind ?? ""}`, { role: "menuitem", click: () => choose(it) }, it.label)),
  );
  const choose = (/** @type {Exclude<Item, false>} */ item) => {
    content.hidePopover();
    item.choose();
  };
  document.body.append(content);
  content.showPopover();
  place(content, beside.getBoundingClientRect());
  const buttons = every(content, "button");
  buttons[0]?.focus();

  /** @param {KeyboardEvent} event */
  function keydown(event) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const at = buttons.findIndex((it) => it === document.activeElement);
    if (step) buttons.at((at + step) % buttons.length)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") content.hidePopover();
    else return;
    event.preventDefault();
  }
}

/** Puts it below an element, or above where there is no room. @param {HTMLElement} content @param {DOMRect} anchor */
function place({ style, offsetWidth, offsetHeight }, { left, top, bottom }) {
  const above = bottom + 4 + offsetHeight >= innerHeight;
  style.left = `${Math.max(8, Math.min(left, innerWidth - offsetWidth - 8))}px`;
  style.top = `${above ? Math.max(8, top - offsetHeight - 4) : bottom + 4}px`;
}
