/** The page for those who are not signed in. */

import { Problem } from "../net/api.js";
import { enter } from "../net/client.js";
import { fill, h, sentence } from "./dom.js";

/** @param {HTMLElement} root @param {boolean} invited @returns {Promise<void>} resolves once signed in */
export function signInPage(root, invited) {
  return new Promise((resolve) => show(root, invited ? "register" : "login", invited, resolve));
}

/** @param {HTMLElement} root @param {"login" | "register"} how @param {boolean} invited @param {() => void} done */
function show(root, how, invited, done) {
  const isNew = how === "register";
  const error = h("p", { class: "form-error", role: "alert", id: "form-error" });
  const submit = h("button", { class: "primary", type: "submit" }, isNew ? "Create account" : "Sign in");
  const form = h(
    "form",
    { class: "card sign-in", novalidate: true, "aria-describedby": "form-error", submit: send },
    h("h1", { class: "brand" }, "Kith"),
    h(
      "p",
      { class: "muted" },
      invited
        ? "You have been invited. Sign in, or make an account, to come in."
        : isNew
          ? "Make an account, and talk."
          : "Good to see you.",
    ),
    field("username", isNew ? "User name" : "User name or e-mail", {
      autocomplete: "username",
      autocapitalize: "none",
      spellcheck: "false",
    }),
    isNew && field("display_name", "Your name", { autocomplete: "name", placeholder: "As others see it" }),
    isNew && field("email", "E-mail", { type: "email", autocomplete: "email" }),
    field("password", "Password", {
      type: "password",
      autocomplete: isNew ? "new-password" : "current-password",
    }),
    error,
    submit,
    h(
      "p",
      { class: "switch" },
      isNew ? "Already here? " : "New here? ",
      h(
        "button",
        {
          type: "button",
          class: "text-button",
          click: () => show(root, isNew ? "login" : "register", invited, done),
        },
        isNew ? "Sign in" : "Create an account",
      ),
    ),
  );

  /** @param {SubmitEvent} event */
  async function send(event) {
    event.preventDefault();
    const given = /** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form)));
    if (!given.display_name) delete given.display_name;
    if (!isNew && given.username.includes("@")) {
      given.email = given.username;
      delete given.username;
    }
    submit.disabled = true;
    error.textContent = "";
    for (const input of form.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    try {
      await enter(how, given);
      done();
    } catch (problem) {
      submit.disabled = false;
      refused(problem);
    }
  }

  /** @param {any} problem */
  function refused(problem) {
    const names = /** @type {Record<string, string>} */ ({
      username: "The user name",
      email: "The e-mail address",
      password: "The password",
      display_name: "Your name",
    });
    const fields = problem instanceof Problem ? problem.errors : [];
    error.textContent = fields.length
      ? fields.map((it) => sentence(`${names[it.field] ?? it.field} ${it.message}`)).join(" ")
      : problem.code === "invalid_credentials"
        ? "No account has this name with this password."
        : sentence(problem.message);
    const first = form.elements.namedItem(fields[0]?.field ?? (isNew ? "username" : "password"));
    if (first instanceof HTMLInputElement) {
      first.setAttribute("aria-invalid", "true");
      first.focus();
    }
  }

  fill(root, h("main", { class: "splash" }, form));
  form.querySelector("input")?.focus();
}

/** @param {string} name @param {string} label @param {Record<string, string>} attributes */
export function field(name, label, attributes = {}) {
  return h("label", { class: "field" }, h("span", null, label), h("input", { name, ...attributes }));
}
