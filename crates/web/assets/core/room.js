/** What is held of the messages of one conversation: one run without a gap, oldest first. */

export class Room {
  constructor() {
    /** @type {Message[]} */
    this.messages = [];
    /** Whether the server has more before the first, and after the last. */
    this.hasBefore = false;
    this.hasAfter = false;
    /** Everything up to this version of the conversation is in here. */
    this.version = 0;
    /** The connection was away: what changed meanwhile has not been asked for yet. */
    this.stale = false;
    this.loaded = false;
  }

  get firstSeq() {
    return this.messages[0]?.seq ?? 0;
  }

  get lastSeq() {
    return this.messages.at(-1)?.seq ?? 0;
  }

  /** Where the message with this number is, or where it would be put. @param {number} seq */
  place(seq) {
    let [low, high] = [0, this.messages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.messages[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {number} seq @returns {Message | undefined} */
  at(seq) {
    const message = this.messages[this.place(seq)];
    return message?.seq === seq ? message : undefined;
  }

  /** Drops what is held for this page. @param {Page} page */
  reset(page) {
    this.messages = page.items;
    this.hasBefore = page.has_before;
    this.hasAfter = page.has_after;
    this.version = page.version;
    this.stale = false;
    this.loaded = true;
  }

  /**
   * Adds a page that lies before the first message. Its version is not taken over: it says nothing of
   * the messages that were held before.
   * @param {Page} page
   */
  prepend(page) {
    const before = page.items.filter((message) => message.seq < this.firstSeq);
    this.messages = [...before, ...this.messages];
    this.hasBefore = page.has_before;
  }

  /** Adds a page that lies after the last message. @param {Page} page */
  append(page) {
    const after = page.items.filter((message) => message.seq > this.lastSeq);
    this.messages = [...this.messages, ...after];
    this.hasAfter = page.has_after;
  }

  /**
   * Takes a message in as it is now: a new one at the end, or a newer version of one that is here.
   * One that lies elsewhere is passed over: it comes when its page is asked for.
   * @param {Message} message
   * @returns {"added" | "changed" | "known" | "elsewhere" | "gap"}
   */
  take(message) {
    const { seq, version } = message;
    if (this.at(seq)) return this.change(seq, version, () => message) ? "changed" : "known";
    if (this.hasAfter || seq < this.firstSeq) return "elsewhere";
    if (this.messages.length && seq !== this.lastSeq + 1) return "gap";
    this.messages.push(message);
    return "added";
  }

  /**
   * Changes the message with this number, if it is here and older than this version. Says whether it did.
   * @param {number} seq @param {number} version @param {(message: Message) => Partial<Message>} change
   */
  change(seq, version, change) {
    const known = this.at(seq);
    if (!known || version <= known.version) return false;
    const newer = change(known);
    // Frames say neither how far a message has come nor what it answers: what REST said of it stays.
    const reply_to = known.reply_to && { ...known.reply_to, ...newer.reply_to };
    this.messages[this.place(seq)] = { ...known, ...newer, reply_to, version };
    return true;
  }

  /** A frame has brought this change. @param {number} version */
  advance(version) {
    if (!this.stale) this.version = Math.max(this.version, version);
  }
}
