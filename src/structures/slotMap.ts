/**
 * What is waited for, each under a number by which its answer finds it. A number that is free is used again, so that a
 * few dozen places serve for ever: see {@link Crowd} on what a Map would cost.
 */
export class SlotMap<T extends object> {
  #things: (T | undefined)[] = []
  #free: number[] = []

  get size(): number {
    return this.#things.length - this.#free.length
  }

  add(thing: T): number {
    const number = this.#free.pop() ?? this.#things.length
    this.#things[number] = thing
    return number
  }

  take(number: number): T | undefined {
    const thing = this.#things[number]
    if (thing === undefined) return undefined
    this.#things[number] = undefined
    this.#free.push(number)
    return thing
  }

  /** All that were there; it is empty then. */
  takeAll(): T[] {
    const all = this.#things.filter((thing) => thing !== undefined)
    this.#things = []
    this.#free = []
    return all
  }
}
