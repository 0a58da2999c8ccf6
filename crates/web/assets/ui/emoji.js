/** A small choice of emoji, and menus that open beside a button. */

import { h } from "./dom.js";

/** What people mostly answer with. */
export const QUICK = [..."👍❤😂😮😢🙏🎉🔥👏👀✅🤔"].map((it) => (it === "❤" ? "❤️" : it));

/** @param {HTMLElement} beside @param {string[]} emoji @param {(emoji: string) => void} choose */
export function chooseEmoji(beside, emoji, choose) {
  const buttons = emoji.map((it) =>
    h(
      "button",
      {
        type: "button",
        class: "emoji",
        role: "menuitem",
        click: () => {
          close();
          choose(it);
        },
      },
      it,
    ),
  );
  const close = popup(
    beside,
    h("div", { class: "popup emoji-grid", role: "menu", "aria-label": "Reactions" }, buttons),
  );
}

/** @param {HTMLElement} beside @param {{label: string, danger?: boolean, choose: () => void}[]} items */
export function menu(beside, items) {
  const buttons = items.map((it) =>
    h(
      "button",
      {
        type: "button",
        role: "menuitem",
        class: it.danger ? "danger" : "",
        click: () => {
          close();
          it.choose();
        },
      },
      it.label,
    ),
  );
  const close = popup(beside, h("div", { class: "popup menu", role: "menu" }, buttons));
}

/** Shows something beside an element until it is chosen from or left. @param {HTMLElement} beside @param {HTMLElement} content */
function popup(beside, content) {
  document.querySelector(".popup")?.remove();
  document.body.append(content);
  const anchor = beside.getBoundingClientRect();
  const own = content.getBoundingClientRect();
  content.style.left = `${Math.max(8, Math.min(anchor.left, innerWidth - own.width - 8))}px`;
  const below = anchor.bottom + 4;
  content.style.top = `${below + own.height < innerHeight ? below : Math.max(8, anchor.top - own.height - 4)}px`;
  const items = [...content.querySelectorAll("button")];
  items[0]?.focus();
  const close = () => {
    content.remove();
    removeEventListener("pointerdown", outside, true);
    if (beside.isConnected) beside.focus({ preventScroll: true });
  };
  const outside = (/** @type {Event} */ event) =>
    !content.contains(/** @type {Node} */ (event.target)) && close();
  addEventListener("pointerdown", outside, true);
  content.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step)
      items[
        (items.indexOf(/** @type {any} */ (document.activeElement)) + step + items.length) % items.length
      ]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
  });
  return close;
}
