/** An entry of an {@link IndexedBag}: it knows its own index there. */
export interface Member {
  /** Set by the bag; -1 outside it. */
  bagIndex: number
}

/**
 * An unordered collection for entries that come and go by the thousands. The last entry fills the place of a removed one.
 *
 *     remove(b):   │ a │ b │ c │ d │   ──▶   │ a │ d │ c │
 *
 * A Map or Set leaves a table behind for every few dozen entries that left, and each table points at the next one and at the
 * entries it held: once one of them is old, the garbage collector keeps everything after it, with every message in it, until
 * its next full run. `add()` and `remove()` are O(1), `filter()` is O(n).
 */
export class IndexedBag<T extends Member> {
  readonly #members: T[] = []

  add(member: T): void {
    member.bagIndex = this.#members.push(member) - 1
  }

  /** Does nothing if the member is outside the bag. */
  remove(member: T): void {
    const { bagIndex } = member
    if (bagIndex < 0) return
    member.bagIndex = -1
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    last.bagIndex = bagIndex
    this.#members[bagIndex] = last
  }

  filter(wanted: (member: T) => boolean): T[] {
    return this.#members.filter(wanted)
  }
}
