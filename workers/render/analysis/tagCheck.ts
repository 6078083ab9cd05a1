import { describePlace, placeWithin, type SourceFile } from '../template/sourceFile.js'
import type { BlockNode, Place, TemplateNode, TextNode } from '../template/tree.js'
import { ENDING_TAGS, KNOWN_COMPONENTS } from './components.js'
import { Tokenizer } from './tokenizer.js'

/** A problem of a template at a place. */
export interface Problem {
  at: Place
  message: string
}

/** An attribute of a component as written. */
export interface WrittenAttribute {
  tag: string
  attribute: string
  at: Place
}

interface OpenTag {
  tag: string
  at: Place
}

/** The tags of a template, over all branches of its blocks. */
export interface TagReport {
  problems: Problem[]
  attributes: WrittenAttribute[]
  /** The components of the template, in any branch. */
  components: ReadonlySet<string>
}

/**
 * Checks that every component is known and closed by its own tag. MJML tolerates wrong closing tags, and then loses the content
 * behind them. After a block whose branches don't end where they start, the open components depend on the data, so that nothing more
 * is reported about closing tags.
 */
export function checkTags(nodes: readonly TemplateNode[], files: ReadonlyMap<string, SourceFile>): TagReport {
  const check = new TagCheck(files)
  check.all(nodes)
  check.end()
  const { problems, attributes, components } = check
  return { problems, attributes, components }
}

class TagCheck {
  readonly problems: Problem[] = []
  readonly attributes: WrittenAttribute[] = []
  readonly components = new Set<string>()
  #tokenizer = new Tokenizer()
  #open: OpenTag[] = []
  #uncertain = false
  /** The start of a tag that has expressions in it, and so consists of several nodes. */
  #tagStart: Place | undefined

  constructor(private readonly files: ReadonlyMap<string, SourceFile>) {}

  all(nodes: readonly TemplateNode[]): void {
    for (const node of nodes)
      if (node.kind === 'text') this.#text(node)
      else if (node.kind === 'block') this.#block(node)
      else if (node.kind === 'scope' || node.kind === 'anchor' || node.kind === 'anchored')
        this.all(node.body)
      else if (node.kind === 'attribute') this.all(node.value)
  }

  end(): void {
    if (this.#uncertain) return
    for (const { tag, at } of this.#open) this.problems.push({ at, message: `<${tag}> is never closed` })
  }

  #block({ body, inverse }: BlockNode): void {
    const tokenizer = this.#tokenizer
    const open = [...this.#open]
    const run = (nodes: readonly TemplateNode[]): string => {
      this.#tokenizer = tokenizer.copy()
      this.#open = [...open]
      this.all(nodes)
      return this.#open.map(({ tag }) => tag).join(' ')
    }
    const otherwise = run(inverse)
    if (run(body) !== otherwise) this.#uncertain = true
  }

  #text(node: TextNode): void {
    const file = this.files.get(node.at.file)
    const place = (offset: number): Place =>
      file === undefined ? node.at : placeWithin(file, node.at, node.text, Math.max(0, offset))
    this.#tokenizer.feed(node.text, {
      open: (tag, selfClosing, offset) => {
        const at = this.#tagStart ?? place(node.text.lastIndexOf('<', offset))
        this.#tagStart = undefined
        if (this.#isContent()) {
          if (ENDING_TAGS.has(tag) && !selfClosing) this.#open.push({ tag, at })
          return
        }
        this.components.add(tag)
        if (!KNOWN_COMPONENTS.has(tag)) this.problems.push({ at, message: unknownComponent(tag) })
        if (!selfClosing) this.#open.push({ tag, at })
      },
      close: (tag, offset) => this.#close(tag, () => place(offset)),
      valueStart: (tag, attribute, offset) => {
        if (this.#isContent() || !KNOWN_COMPONENTS.has(tag)) return
        const start = node.text.lastIndexOf(attribute, offset)
        this.attributes.push({ tag, attribute, at: place(start < 0 ? offset : start) })
      },
      valueEnd: () => undefined,
      words: () => undefined,
    })
    const { mode, closing } = this.#tokenizer
    if (!closing && mode !== 'text' && mode !== 'comment' && mode !== 'verbatim')
      this.#tagStart ??= place(node.text.lastIndexOf('<'))
  }

  #isContent(): boolean {
    const last = this.#open.at(-1)
    return last !== undefined && ENDING_TAGS.has(last.tag)
  }

  #close(tag: string, place: () => Place): void {
    const last = this.#open.at(-1)
    if (last?.tag === tag) {
      this.#open.pop()
      return
    }
    // Inside the content of a component, HTML is not MJML's business.
    if (this.#isContent() && !tag.startsWith('mj-') && tag !== 'mjml') return
    const at = place()
    const wrong =
      last === undefined
        ? `</${tag}> closes nothing`
        : `</${tag}> is the wrong closing tag: <${last.tag}> of ${describePlace(last.at)} is open`
    if (!this.#uncertain) this.problems.push({ at, message: wrong })
    const index = this.#open.findLastIndex((open) => open.tag === tag)
    if (index >= 0) this.#open.length = index
    else if (!KNOWN_COMPONENTS.has(tag)) this.#open.pop()
  }
}

/** The explanation for a tag that is not one of MJML's components. */
export function unknownComponent(tag: string): string {
  const hint = tag.startsWith('mj-')
    ? 'MJML has no such component'
    : 'MJML drops HTML here. Put it inside mj-text, mj-table, mj-raw or a similar component'
  return tag === 'mj-include' ? 'mj-include needs a path without expressions' : `<${tag}> is unknown: ${hint}`
}
