import { nestedTooDeeply } from '../template/sourceFile.js'
import type { AttributeNode, BlockNode, EdgeCheck, Place, TemplateNode, ValueNode } from '../template/tree.js'
import { ENDING_TAGS } from './components.js'
import { type TokenEvents, Tokenizer } from './tokenizer.js'

/** Events of the MJML structure in a text, in order. */
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

/** Columns that are direct children of a component, over all branches of its blocks. */
interface Columns {
  count: number
  /** Columns whose width MJML computes from the number of columns. */
  withoutWidth: number
}

/** Deeper than a template goes, even with tags that are never closed. The open elements are searched for each end tag, and copied for each block. */
const MAX_DEPTH = 2_000

/** The MJML structure up to a position: the tokenizer's state and the open components. */
export class Structure {
  tokenizer = new Tokenizer()
  /** Open components, outermost first. The last one may be an ending tag, whose content MJML copies. */
  stack: string[] = []
  /** Columns of each open component. Shared by all copies, because columns of every branch count. */
  columns: Columns[] = []
  /** Depth of nested ending tags inside such content, counted as MJML's parser does. */
  ending = 0
  /** The smallest depth between components since it was last reset. Infinite if no position was between components. */
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
    this.#noteDepth()
    this.tokenizer.feed(text, this.#listen(events))
    this.#noteDepth()
    return events
  }

  #noteDepth(): void {
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
    if (this.stack.length >= MAX_DEPTH) throw nestedTooDeeply()
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
    if (!this.tokenizer.hasWidth) columns.withoutWidth++
  }

  #close(tag: string, offset: number, events: StructureEvent[]): void {
    if (this.ending > 0) {
      if (!ENDING_TAGS.has(tag)) return
      this.ending--
      if (this.ending > 0) return
      events.push({ kind: 'content end', tag, offset })
    }
    // As tolerant as MJML's parser: a stray end tag is ignored, and a missing one is implied.
    const depth = this.stack.lastIndexOf(tag)
    if (depth >= 0) this.stack.length = this.columns.length = depth
    this.#noteDepth()
  }
}

/** Finds the values at the start or end of a content: those with no fixed text before them, or none after. */
export class ContentEdge {
  #first = true
  #tail: ValueNode[] = []
  readonly #values: ValueNode[] = []
  #check: EdgeCheck

  constructor(check: EdgeCheck) {
    this.#check = check
  }

  /** White space between the values. Next to an empty value, MJML trims it, too. */
  space(text: string): void {
    if (/[^\S \t\n\r\f]/.test(text)) this.#check = 'space'
  }

  literal(): void {
    this.#first = false
    this.#tail = []
  }

  value(node: ValueNode): void {
    if (this.#first) this.#values.push(node)
    this.#tail.push(node)
  }

  end(): void {
    for (const node of [...this.#values, ...this.#tail]) node.edge = this.#check
  }
}

/** The position of an expression in MJML. */
export type Position =
  /** In the content of a component, or in a comment: MJML copies it. */
  | { at: 'content'; component: string }
  /** A whole attribute value. `component` is true if it belongs to an MJML component. */
  | { at: 'attribute'; tag: string; attribute: string; component: boolean; settings: boolean }
  /** The whole content of a component that MJML renders differently without content. */
  | { at: 'whole content'; component: string }
  /** Between components. */
  | { at: 'between'; component: string }
  /** In the tag of a component, but outside attribute values; or in a value that extends across blocks. */
  | { at: 'tag'; tag: string }

/** The MJML structure of a block. */
export interface BlockStructure {
  position: Position
  /** Whether each branch ends in the structure in which it starts. */
  balanced: boolean
  /** The component that contains the whole block, if the block extends beyond one component's content. */
  around?: string
  /** Columns inside the block, and all columns of the component around it. */
  columns?: { inside: number; all: Columns }
}

/** A template whose attribute values are nodes, with the position of each node. */
export interface Annotations {
  nodes: TemplateNode[]
  values: Map<TemplateNode, Position>
  blocks: Map<BlockNode, BlockStructure>
  attributes: Map<AttributeNode, Position>
  /** Places of text that MJML drops because it is between components. */
  dropped: Place[]
}
