/** Where it starts: the page for strangers, or the chat. */

import { Client } from "./net/client.js";
import { onChange, tokens } from "./net/session.js";
import { toast } from "./ui/dom.js";
import { Shell } from "./ui/shell.js";
import { signInPage } from "./ui/sign-in.js";

addEventListener("unhandledrejection", ({ reason }) => {
  if (reason?.code !== "disconnected")
    toast("Something went wrong. Reload the page if it does not look right.");
});
keepAtHand();

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const invite = /^\/invite\/([^/]+)$/.exec(location.pathname)?.[1];
const isNobody = !tokens();
let user = tokens()?.user_id ?? null;
// Another tab signs in, or out, or in as somebody else.
onChange((now) => now !== user && location.reload());
if (location.pathname !== "/" && !invite) {
  toast("There is nothing at this address.");
  history.replaceState(null, "", `/${location.hash}`);
}
if (isNobody) await signInPage(root, Boolean(invite));
user = tokens()?.user_id ?? null;
const shell = new Shell(root, await Client.start());
if (invite) await shell.invited(invite, isNobody);

/** Has the worker keep these modules, for when the server is away. */
function keepAtHand() {
  const policy = /** @type {any} */ (window).trustedTypes?.createPolicy("kith", {
    createScriptURL: (/** @type {string} */ url) => (url === "/worker.js" ? url : "about:blank"),
  });
  const url = policy?.createScriptURL("/worker.js") ?? "/worker.js";
  navigator.serviceWorker?.register(url).catch(() => {});
}
