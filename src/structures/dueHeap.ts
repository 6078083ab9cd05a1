/** What a {@link DueHeap} holds: something with a time, that knows its own place in the heap. */
export interface Due {
  /** Milliseconds since the epoch. */
  dueAt: number
  /** Kept by the heap; -1 outside it. */
  heapIndex: number
}

/** A binary heap by time, from which any entry can be removed in O(log n). */
export class DueHeap<T extends Due> {
  readonly #entries: T[] = []

  /** All that are in it now, in no order. */
  entries(): T[] {
    return [...this.#entries]
  }

  peek(): T | undefined {
    return this.#entries[0]
  }

  add(entry: T): void {
    entry.heapIndex = this.#entries.length
    this.#entries.push(entry)
    this.#siftUp(entry)
  }

  remove(entry: T): void {
    const index = entry.heapIndex
    if (index < 0) return
    entry.heapIndex = -1
    const last = this.#entries.pop()
    if (last === undefined || last === entry) return
    this.#place(last, index)
    this.#siftUp(last)
    this.#siftDown(last)
  }

  #siftUp(entry: T): void {
    while (entry.heapIndex > 0) {
      const parentIndex = (entry.heapIndex - 1) >> 1
      const parent = this.#entries[parentIndex]
      if (parent === undefined || parent.dueAt <= entry.dueAt) return
      this.#place(parent, entry.heapIndex)
      this.#place(entry, parentIndex)
    }
  }

  #siftDown(entry: T): void {
    for (;;) {
      const left = this.#entries[2 * entry.heapIndex + 1]
      const right = this.#entries[2 * entry.heapIndex + 2]
      const child = right !== undefined && left !== undefined && right.dueAt < left.dueAt ? right : left
      if (child === undefined || child.dueAt >= entry.dueAt) return
      const childIndex = child.heapIndex
      this.#place(child, entry.heapIndex)
      this.#place(entry, childIndex)
    }
  }

  #place(entry: T, index: number): void {
    this.#entries[index] = entry
    entry.heapIndex = index
  }
}
