/**
 * Keeps the client at hand while the server is away. The page is asked for first and kept for when
 * nobody answers soon; modules, which never change under their path, come from what is kept. The interface
 * is none of its business.
 */

const CACHE = "kith-{{build}}";
const MODULES = "{{modules}}".split(" ");
const FOLDER = "/app/{{build}}/";

/** A server that has said nothing for so long, in milliseconds, is taken to be away. */
const PATIENCE = 3_000;

const worker = /** @type {any} */ (self);

/** @param {string} what @param {(event: any) => void} work */
const on = (what, work) => worker.addEventListener(what, work);

on("install", (event) => {
  const rest = ["style.css", "icon.svg"].map((name) => FOLDER + name);
  const all = caches
    .open(CACHE)
    .then((cache) =>
      cache.addAll([new Request("/", { headers: { Accept: "text/html" } }), ...MODULES, ...rest]),
    );
  event.waitUntil(all.then(() => worker.skipWaiting()));
});

on("activate", (event) => {
  const old = caches
    .keys()
    .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))));
  event.waitUntil(old.then(() => worker.clients.claim()));
});

on("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  if (request.mode === "navigate" && (pathname === "/" || pathname.startsWith("/invite/"))) {
    const answer = fetch(request);
    const kept = () => caches.match("/", { ignoreVary: true }).then((kept) => kept ?? answer);
    const late = new Promise((done) => setTimeout(done, PATIENCE)).then(kept);
    event.respondWith(Promise.race([answer.catch(kept), late]));
  } else if (pathname.startsWith(FOLDER)) {
    event.respondWith(caches.match(request, { ignoreVary: true }).then((kept) => kept ?? fetch(request)));
  }
});
