/** Places in the file of notes: each is one delivery's from its beginning until what it came to is stored. */
export class Places {
  readonly #free: number[] = []
  #made = 0

  take(): number {
    return this.#free.pop() ?? this.#made++
  }

  give(place: number): void {
    this.#free.push(place)
  }
}
