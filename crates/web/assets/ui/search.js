/** A search, and what it has found. What is shown belongs to what is typed. */

import { fill, h, icon, reason } from "./dom.js";
import { row } from "./forms.js";

/** @typedef {{picture: Child, name: string, under: string, chosen?: boolean, choose: () => unknown}} Found */
/** @typedef {{title?: string, found: Found[]}} Group */

/** The server is asked once nothing was typed for so long. */
const PAUSE = 200;

export class Search {
  /**
   * @param {string} look of what was found
   * @param {object} how
   * @param {string} how.label
   * @param {string} how.placeholder
   * @param {string} how.none what is said where nothing was found
   * @param {(text: string) => Group[]} how.here what this client knows, before anything is typed, too
   * @param {(text: string) => Promise<Group[]>} how.ask what the server knows
   */
  constructor(look, how) {
    this.how = how;
    this.results = h(`div.${look}`);
    this.input = h("input", {
      type: "search",
      placeholder: how.placeholder,
      "aria-label": how.label,
      autocomplete: "off",
      input: () => this.show(),
      keydown: (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        this.results.querySelector("button")?.click();
      },
    });
  }

  get text() {
    return this.input.value.trim().slice(0, 64);
  }

  clear() {
    this.input.value = "";
    this.show();
  }

  show() {
    const { text } = this;
    const here = this.how.here(text);
    clearTimeout(this.timer);
    this.#fill(here, text ? "Searching…" : "Type a name.");
    if (!text) return;
    this.timer = setTimeout(async () => {
      const answer = await this.how.ask(text).catch((error) => error);
      if (text !== this.text) return;
      if (answer instanceof Error) this.#fill(here, reason(answer));
      else this.#fill([...here, ...answer], this.how.none);
    }, PAUSE);
  }

  /** @param {Group[]} groups @param {string} none */
  #fill(groups, none) {
    const shown = groups.filter(({ found }) => found.length);
    const item = (/** @type {Found} */ { picture, name, under, chosen, choose }) => {
      const click = () => (choose(), this.clear());
      return h("li", row("button", { "aria-pressed": chosen?.toString(), click }, picture, name, under, chosen && icon("sent")));
    };
    fill(
      this.results,
      shown.map(({ title, found }) => h("section", title && h("h2", title), h("ul", found.map(item)))),
      !shown.length && h("p.empty", none),
    );
  }
}
