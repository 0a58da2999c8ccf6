/** The page for those who are not signed in. */

import { enter } from "../net/client.js";
import { wasLost } from "../net/session.js";
import { fill, h, reason } from "./dom.js";
import { field, form } from "./forms.js";

/** @param {HTMLElement} root @param {boolean} invited @returns {Promise<void>} resolves once signed in */
export const signInPage = (root, invited) =>
  new Promise((resolve) => show(root, invited ? "register" : "login", invited, resolve));

/** @param {HTMLElement} root @param {"login" | "register"} how @param {boolean} invited @param {() => void} done */
function show(root, how, invited, done) {
  const isNew = how === "register";
  const error = h("p.form-error", { role: "alert", id: "form-error" });
  const fields = form(
    isNew ? "Create account" : "Sign in",
    send,
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
  );
  fields.noValidate = true;
  fields.setAttribute("aria-describedby", error.id);
  const other = () => show(root, isNew ? "login" : "register", invited, done);
  const greeting = invited
    ? "You have been invited. Sign in, or make an account, to come in."
    : isNew
      ? "Make an account, and talk."
      : wasLost()
        ? "You were signed out. What you wrote and is not sent yet is kept until you sign in again."
        : "Good to see you.";

  /** @param {Record<string, string>} given */
  async function send({ username, display_name, ...rest }) {
    error.textContent = "";
    for (const input of fields.querySelectorAll("input")) input.removeAttribute("aria-invalid");
    const name = !isNew && username.includes("@") ? "email" : "username";
    if (display_name) rest.display_name = display_name;
    await enter(how, { ...rest, [name]: username }).then(done, refused);
  }

  /** @param {import("../core/outbox.js").Refused} problem */
  function refused(problem) {
    const [fault] = problem.errors ?? [];
    const unknown = problem.code === "invalid_credentials";
    error.textContent = unknown ? "No account has this name with this password." : reason(problem);
    const first = fields.elements.namedItem(fault?.field ?? (isNew ? "username" : "password"));
    if (!(first instanceof HTMLInputElement)) return;
    first.setAttribute("aria-invalid", "true");
    first.focus();
  }

  const card = h(
    "div.card.sign-in",
    h("h1.brand", "Kith"),
    h("p.muted", greeting),
    fields,
    h(
      "p.switch",
      isNew ? "Already here? " : "New here? ",
      h("button.text-button", { click: other }, isNew ? "Sign in" : "Create an account"),
    ),
  );
  fill(root, h("main.splash", card));
  fields.querySelector("input")?.focus();
}
