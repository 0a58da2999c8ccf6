/** What opens beside a button: a menu, and a small choice of emoji. */

import { every, h, refocus } from "./dom.js";

/** What people mostly answer with. */
const QUICK = ["👍", "❤️", ..."😂😮😢🙏🎉🔥👏👀✅🤔"];

/** @param {HTMLElement} beside @param {(emoji: string) => unknown} choose */
export const chooseEmoji = (beside, choose) =>
  popup(
    beside,
    h("div.popup.emoji-grid", { role: "menu", "aria-label": "Reactions" }),
    QUICK.map((label) => ({ label, kind: "emoji", choose: () => choose(label) })),
  );

/** @param {HTMLElement} beside @param {({label: string, kind?: string, choose: () => unknown} | false)[]} items */
export const menu = (beside, items) => popup(beside, h("div.popup.menu", { role: "menu" }), items);

/** Closes the one that is open. */
let closeLast = () => {};
export const closePopup = () => closeLast();

/** Shows something beside an element until it is chosen from or left. @param {HTMLElement} beside @param {HTMLElement} content @param {({label: string, kind?: string, choose: () => unknown} | false)[]} items */
function popup(beside, content, items) {
  closeLast();
  for (const item of items) {
    if (!item) continue;
    const click = () => {
      close();
      item.choose();
    };
    content.append(h(`button.${item.kind ?? ""}`, { role: "menuitem", click }, item.label));
  }
  document.body.append(content);
  beside.ariaExpanded = "true";
  place(content, beside.getBoundingClientRect());
  const buttons = every(content, "button");
  buttons[0]?.focus();

  const close = () => {
    closeLast = () => {};
    content.remove();
    removeEventListener("pointerdown", outside, true);
    refocus(beside);
    beside.ariaExpanded = "false";
  };
  const outside = (/** @type {Event} */ { target }) =>
    target instanceof Node && !content.contains(target) && close();
  closeLast = close;
  addEventListener("pointerdown", outside, true);
  content.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const at = buttons.findIndex((it) => it === document.activeElement);
    if (step) buttons.at((at + step) % buttons.length)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
  });
}

/** Puts it below an element, or above where there is no room. @param {HTMLElement} content @param {DOMRect} anchor */
function place({ style, offsetWidth, offsetHeight }, { left, top, bottom }) {
  const above = bottom + 4 + offsetHeight >= innerHeight;
  style.left = `${Math.max(8, Math.min(left, innerWidth - offsetWidth - 8))}px`;
  style.top = `${above ? Math.max(8, top - offsetHeight - 4) : bottom + 4}px`;
}
