import type { ValueNode } from '../template/tree.js'

/** Finds the values that may come first or last in a content: no fixed text before, or none after them. */
export class ContentEdge {
  #first = true
  #tail: ValueNode[] = []

  literal(): void {
    this.#first = false
    this.#tail = []
  }

  value(node: ValueNode): void {
    if (this.#first) node.edge = true
    this.#tail.push(node)
  }

  end(): void {
    for (const node of this.#tail) node.edge = true
  }
}
