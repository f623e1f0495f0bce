// The clock of this computer against the daemon's: times of the day are shown by this one.

/** What differs by less confuses nobody. */
const WORTH_SAYING_S = 5;
const MEASURED = 20;

export class ClockSkew {
  /** Seconds that this clock is ahead, of the newest beats. @type {number[]} */
  #ahead = [];

  /** @param {string} told what the daemon's clock said @param {Date} here what this one says now */
  take(told, here) {
    this.#ahead = [...this.#ahead, (here.getTime() - Date.parse(told)) / 1000].slice(-MEASURED);
  }

  /** Seconds that this clock is ahead. A message under way looks like a clock ahead, so the least of them counts. */
  get ahead() {
    return this.#ahead.length === 0 ? 0 : Math.min(...this.#ahead);
  }

  /** @returns {Phrase[]} */
  notices() {
    const seconds = Math.round(Math.abs(this.ahead));
    if (seconds < WORTH_SAYING_S) return [];
    return [{ text: this.ahead > 0 ? "clock.ahead" : "clock.behind", parameters: { seconds } }];
  }
}
