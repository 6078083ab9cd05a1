/** What a {@link IndexedBag} holds: something that knows its own place there. */
export interface Member {
  /** Kept by the crowd; -1 outside it. */
  place: number
}

/**
 * A few things that come and go by the thousands. A Map leaves a table behind for every few dozen that went, and each
 * table points at the next one and at what it held: once one of them is old, the garbage collector takes all that
 * follow for alive, with every message in them, until its next full run.
 */
export class IndexedBag<T extends Member> {
  readonly #members: T[] = []

  add(member: T): void {
    member.place = this.#members.push(member) - 1
  }

  remove(member: T): void {
    const { place } = member
    if (place < 0) return
    member.place = -1
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    last.place = place
    this.#members[place] = last
  }

  filter(wanted: (member: T) => boolean): T[] {
    return this.#members.filter(wanted)
  }
}
