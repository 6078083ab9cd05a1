import { ENDING } from './components.js'
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
export interface Columns {
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
      if (ENDING.has(tag) && !selfClosing) this.ending++
      return
    }
    events.push({ kind: 'open', tag, offset })
    if (tag === 'mj-column' || tag === 'mj-group') this.#countColumn()
    if (selfClosing) return
    this.stack.push(tag)
    this.columns.push({ count: 0, withoutWidth: 0 })
    if (!ENDING.has(tag)) return
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
      if (!ENDING.has(tag)) return
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
