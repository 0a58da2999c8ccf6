/** What is kept in the browser's IndexedDB: the outbox, and what was shown last. */

const OUTBOX = "outbox";
const SHOWN = "shown";

/** @param {string} user each account has a database of its own */
const name = (user) => `kith-${user}`;

/** A database that has said nothing for so long, in milliseconds, is done without. */
const PATIENCE = 3_000;

/** @template T @param {(resolve: (value: T) => void, reject: (why: unknown) => void) => void} work @returns {Promise<T>} */
const inTime = (work) =>
  new Promise((resolve, reject) => {
    setTimeout(reject, PATIENCE, new Error("The database does not answer."));
    work(resolve, reject);
  });

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  inTime((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export class Database {
  /** @param {string} user */
  static async open(user) {
    const request = indexedDB.open(name(user), 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(OUTBOX, { keyPath: "client_message_id" });
      request.result.createObjectStore(SHOWN);
    };
    return new Database(await done(request));
  }

  /** Removes all that was kept for an account. @param {string} user */
  static async erase(user) {
    return done(indexedDB.deleteDatabase(name(user)));
  }

  /** @param {IDBDatabase | null} db null where the browser keeps nothing, as in some private windows: all fails then */
  constructor(db) {
    this.db = db;
    // Another tab erases it: that waits for nobody.
    if (db) db.onversionchange = () => db.close();
    /** @type {Omit<Shelf, "delete">} */
    this.outbox = {
      put: (entry) => this.#write([OUTBOX], (outbox) => outbox.put(entry)),
      all: async () => done(this.#begin(OUTBOX).objectStore(OUTBOX).getAll()),
    };
  }

  /** @param {string} key @returns {Promise<any>} */
  async shown(key) {
    return done(this.#begin(SHOWN).objectStore(SHOWN).get(key));
  }

  /** @param {string} key @param {any} value */
  show(key, value) {
    return this.#write([SHOWN], (shown) => shown.put(value, key));
  }

  /** Takes an entry from the outbox, and keeps what is shown then. @param {string} id @param {string} key @param {any} value */
  drop(id, key, value) {
    return this.#write([OUTBOX, SHOWN], (outbox, shown) => {
      outbox.delete(id);
      if (value) shown.put(value, key);
    });
  }

  /** What was shown goes; what waits to be sent stays. */
  forgetShown() {
    return this.#write([SHOWN], (shown) => shown.clear());
  }

  /** @param {string | string[]} names @param {IDBTransactionMode} [mode] */
  #begin(names, mode) {
    if (!this.db) throw new Error("nothing is kept here");
    return this.db.transaction(names, mode, { durability: "strict" });
  }

  /** Resolves when it is on disk. @param {string[]} names @param {(...stores: IDBObjectStore[]) => void} change */
  #write(names, change) {
    return inTime((/** @type {(value: void) => void} */ resolve, reject) => {
      const transaction = this.#begin(names, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      change(...names.map((name) => transaction.objectStore(name)));
      // The page may be going: it has nothing to add.
      transaction.commit();
    });
  }
}
