import type { AttributeNode, BlockNode, Place, TemplateNode, ValueNode } from '../template/tree.js'
import { ENDING_TAGS } from './components.js'
import { type TokenEvents, Tokenizer } from './tokenizer.js'

/** What happened in a text, in order. */
export type StructureEvent =
  | { kind: 'open'; tag: string; offset: number }
  | {
      kind: 'value start'
      tag: string
      attribute: string
      component: boolean
      settings: boolean
      offset: number
    }
  | { kind: 'value end'; offset: number }
  | { kind: 'content start'; tag: string; offset: number }
  | { kind: 'content end'; tag: string; offset: number }
  | { kind: 'words'; offset: number; component: boolean }

/** Columns that stand directly in a component, over all branches of its blocks. */
interface Columns {
  count: number
  /** Those whose width MJML computes from their number. */
  withoutWidth: number
}

/** MJML's structure up to a point: the tokenizer's state and the components that are open. */
export class Structure {
  tokenizer = new Tokenizer()
  /** Open components, outermost first; the last may be one whose content MJML copies. */
  stack: string[] = []
  /** Of each open component; shared by all copies, because every branch counts. */
  columns: Columns[] = []
  /** Nested components inside such content, counted as MJML's parser counts them. */
  ending = 0
  /** The smallest depth since it was last set, and whether there was any place between components. */
  lowest = Number.POSITIVE_INFINITY

  get component(): string {
    return this.stack.at(-1) ?? ''
  }

  snapshot(): string {
    return `${this.tokenizer.snapshot()}|${this.ending}|${this.stack.join(' ')}`
  }

  copy(): Structure {
    const copy = new Structure()
    copy.tokenizer = this.tokenizer.copy()
    copy.stack = [...this.stack]
    copy.columns = [...this.columns]
    copy.ending = this.ending
    copy.lowest = this.lowest
    return copy
  }

  feed(text: string): StructureEvent[] {
    const events: StructureEvent[] = []
    this.#note()
    this.tokenizer.feed(text, this.#listen(events))
    this.#note()
    return events
  }

  #note(): void {
    if (this.ending === 0) this.lowest = Math.min(this.lowest, this.stack.length)
  }

  #listen(events: StructureEvent[]): TokenEvents {
    return {
      open: (tag, selfClosing, offset) => this.#open(tag, selfClosing, offset, events),
      close: (tag, offset) => this.#close(tag, offset, events),
      valueStart: (tag, attribute, offset) => {
        const settings = this.stack.includes('mj-attributes')
        events.push({ kind: 'value start', tag, attribute, component: this.ending === 0, settings, offset })
      },
      valueEnd: (offset) => events.push({ kind: 'value end', offset }),
      words: (offset) => events.push({ kind: 'words', offset, component: this.ending === 0 }),
    }
  }

  #open(tag: string, selfClosing: boolean, offset: number, events: StructureEvent[]): void {
    if (this.ending > 0) {
      if (ENDING_TAGS.has(tag) && !selfClosing) this.ending++
      return
    }
    events.push({ kind: 'open', tag, offset })
    if (tag === 'mj-column' || tag === 'mj-group') this.#countColumn()
    if (selfClosing) return
    this.stack.push(tag)
    this.columns.push({ count: 0, withoutWidth: 0 })
    if (!ENDING_TAGS.has(tag)) return
    this.ending = 1
    events.push({ kind: 'content start', tag, offset: offset + 1 })
  }

  #countColumn(): void {
    const columns = this.columns.at(-1)
    if (columns === undefined) return
    columns.count++
    if (!this.tokenizer.given.includes('width')) columns.withoutWidth++
  }

  #close(tag: string, offset: number, events: StructureEvent[]): void {
    if (this.ending > 0) {
      if (!ENDING_TAGS.has(tag)) return
      this.ending--
      if (this.ending > 0) return
      events.push({ kind: 'content end', tag, offset })
    }
    // As forgiving as MJML's parser: a stray end tag is nothing, a missing one is implied.
    const depth = this.stack.lastIndexOf(tag)
    if (depth >= 0) this.stack.length = this.columns.length = depth
    this.#note()
  }
}

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

/** Where an expression stands in MJML. */
export type Position =
  /** In the content of a component, or in a comment: MJML copies it. */
  | { at: 'content'; component: string }
  /** A whole attribute value; `component` where MJML reads it. */
  | { at: 'attribute'; tag: string; attribute: string; component: boolean; settings: boolean }
  /** All of the content of a component that asks whether it has any. */
  | { at: 'whole content'; component: string }
  /** Between components. */
  | { at: 'between'; component: string }
  /** In the tag of a component, but in no attribute's value; or in a value that lies across blocks. */
  | { at: 'tag'; tag: string }

/** What a block holds, as far as MJML's structure goes. */
export interface BlockStructure {
  position: Position
  /** Each of its branches leaves the parser where it found it. */
  balanced: boolean
  /** The component that contains all of it, if it goes beyond one component's content. */
  around?: string
  /** Columns it holds, and all those of the component around it. */
  columns?: { inside: number; all: Columns }
}

/** A template whose attribute values are nodes of their own, and where everything stands. */
export interface Annotations {
  nodes: TemplateNode[]
  values: Map<TemplateNode, Position>
  blocks: Map<BlockNode, BlockStructure>
  attributes: Map<AttributeNode, Position>
  /** Text that MJML drops because it stands between components. */
  dropped: Place[]
}
