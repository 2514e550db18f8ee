// What stays wrong is said once, and again only when it was right in between.

export class SaidOnce {
  #before = new Set<string>();
  #now = new Set<string>();

  /** @returns true when it is to be said */
  isNew(key: string): boolean {
    const isNew = !this.#before.has(key) && !this.#now.has(key);
    this.#now.add(key);
    return isNew;
  }

  /** What was not asked about since the last call is forgotten. */
  endPass(): void {
    this.#before = this.#now;
    this.#now = new Set();
  }
}
