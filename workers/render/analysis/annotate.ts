import { schemeOf } from '../../../src/protocol/urlSchemes.js'
import { BOUND_VALUE } from '../bind/values.js'
import { templateError } from '../template/parse.js'
import { walk } from '../template/parseTemplate.js'
import { placeWithin, type SourceFile } from '../template/sourceFile.js'
import type { AttributeNode, BlockNode, Place, TemplateNode, TextNode, UrlCheck } from '../template/tree.js'
import { DEPENDS_ON_CONTENT, KNOWN_COMPONENTS, TRIMS_CONTENT, urlCheckOf } from './components.js'
import {
  type BlockStructure,
  ContentEdge,
  type Position,
  type Annotations,
  Structure,
  type StructureEvent,
} from './structure.js'
import { unknownComponent } from './tagCheck.js'

/** The boundaries of a part that may become one node: an attribute value, or the content of a component. */
interface Start {
  kind: 'start'
  of: 'value' | 'content'
  position: Position
  at: Place
}
interface End {
  kind: 'end'
  of: 'value' | 'content'
}
type Boundary = Start | End

/** Annotates nodes with their position in the MJML structure. @throws TemplateFailure for a component unknown to MJML */
export function annotate(
  nodes: readonly TemplateNode[],
  files: ReadonlyMap<string, SourceFile>,
): Annotations {
  const annotator = new Annotator(files, true)
  return { nodes: annotator.all(nodes), ...annotator.found }
}

/** Turns attribute values into nodes, in a fragment whose position in the document is unknown. */
export function annotateFragment(
  nodes: readonly TemplateNode[],
  files: ReadonlyMap<string, SourceFile>,
): TemplateNode[] {
  return new Annotator(files, false).all(nodes)
}

class Annotator {
  readonly found: Omit<Annotations, 'nodes'> = {
    values: new Map(),
    blocks: new Map(),
    attributes: new Map(),
    dropped: [],
  }
  #structure = new Structure()
  #edge: ContentEdge | undefined

  constructor(
    private readonly files: ReadonlyMap<string, SourceFile>,
    private readonly isDocument: boolean,
  ) {}

  all(nodes: readonly TemplateNode[]): TemplateNode[] {
    return this.#wrap(nodes.flatMap((node) => this.#annotate(node)))
  }

  #annotate(node: TemplateNode): (TemplateNode | Boundary)[] {
    switch (node.kind) {
      case 'text':
        return this.#text(node)
      case 'value':
      case 'partial': {
        const annotated = node.kind === 'value' ? { ...node, inside: this.#inside() } : { ...node }
        this.found.values.set(annotated, this.#position())
        if (annotated.kind === 'value') {
          this.#edge?.value(annotated)
          const check = this.#looseUrl()
          if (check !== undefined) annotated.loose = check
        }
        this.#structure.tokenizer.noteValue(BOUND_VALUE)
        return [annotated]
      }
      case 'anchor':
      case 'anchored':
      case 'scope':
        return [{ ...node, body: this.all(node.body) }]
      case 'block':
        return [this.#block(node)]
      case 'attribute':
        return [node]
    }
  }

  #block(node: BlockNode): BlockNode {
    const position = this.#position()
    const before = this.#structure
    const outer = before.lowest
    const columnsBefore = before.columns.map(({ count }) => count)
    const start = before.copy()
    start.lowest = Number.POSITIVE_INFINITY

    this.#structure = start.copy()
    const body = this.all(node.body)
    const afterBody = this.#structure
    this.#structure = start.copy()
    const inverse = this.all(node.inverse)
    const afterInverse = this.#structure

    const at = before.snapshot()
    const lowest = Math.min(afterBody.lowest, afterInverse.lowest)
    const facts: BlockStructure = {
      position,
      balanced: afterBody.snapshot() === at && afterInverse.snapshot() === at,
    }
    if (lowest !== Number.POSITIVE_INFINITY) facts.around = before.stack[lowest - 1] ?? ''
    else if (position.at === 'between') facts.around = position.component
    const all = before.columns[lowest - 1]
    if (all !== undefined) facts.columns = { inside: all.count - (columnsBefore[lowest - 1] ?? 0), all }
    const annotated = { ...node, body, inverse }
    this.found.blocks.set(annotated, facts)
    this.#structure = afterBody
    if (afterBody.tokenizer.value !== afterInverse.tokenizer.value) afterBody.tokenizer.value = BOUND_VALUE
    this.#structure.lowest = Math.min(outer, lowest)
    return annotated
  }

  #position(): Position {
    const { tokenizer, ending, component } = this.#structure
    const inTag = !['text', 'comment', 'verbatim'].includes(tokenizer.mode)
    if (ending > 0 || tokenizer.mode === 'comment') return { at: 'content', component }
    return inTag ? { at: 'tag', tag: tokenizer.tag } : { at: 'between', component }
  }

  #inside(): 'text' | 'tag' | 'other' {
    const { mode } = this.#structure.tokenizer
    if (mode === 'text') return 'text'
    return mode === 'comment' || mode === 'verbatim' ? 'other' : 'tag'
  }

  /** Returns how a value here is checked as a part of a URL. Not at all, if the author wrote the scheme of the URL. */
  #looseUrl(): UrlCheck | undefined {
    const { mode, attribute, value } = this.#structure.tokenizer
    if (mode !== 'value' && mode !== 'equals' && mode !== 'unquoted') return undefined
    const check = urlCheckOf(attribute)
    return check === 'one' && schemeOf(value) !== undefined ? undefined : check
  }

  #text(node: TextNode): (TemplateNode | Boundary)[] {
    const parts: (TemplateNode | Boundary)[] = []
    let done = 0
    const cut = (offset: number): void => {
      if (offset > done) parts.push({ kind: 'text', text: node.text.slice(done, offset), at: node.at })
      done = offset
    }
    let seen = 0
    const pass = (to: number): void => {
      const passed = node.text.slice(seen, to)
      if (passed.trim() === '') this.#edge?.space(passed)
      else this.#edge?.literal()
      seen = to
    }
    for (const event of this.#structure.feed(node.text)) {
      pass(event.offset)
      this.#follow(event)
      const at = (): Place => this.#place(node, event.offset)
      const boundary = this.#boundary(event, at)
      if (boundary === undefined) continue
      cut(event.offset)
      parts.push(boundary)
    }
    pass(node.text.length)
    cut(node.text.length)
    return parts
  }

  #follow(event: StructureEvent): void {
    if (event.kind === 'content start')
      this.#edge = new ContentEdge(TRIMS_CONTENT.has(event.tag) ? 'space' : 'unusual')
    if (event.kind === 'content end') {
      this.#edge?.end()
      this.#edge = undefined
    }
  }

  #boundary(event: StructureEvent, at: () => Place): Boundary | undefined {
    switch (event.kind) {
      case 'open':
        if (this.isDocument && !KNOWN_COMPONENTS.has(event.tag))
          throw templateError(unknownComponent(event.tag), at())
        return undefined
      case 'words':
        if (event.component) this.found.dropped.push(at())
        return undefined
      case 'value start': {
        const { tag, attribute, component, settings } = event
        const position: Position = { at: 'attribute', tag, attribute, component, settings }
        return { kind: 'start', of: 'value', position, at: at() }
      }
      case 'content start':
        if (!DEPENDS_ON_CONTENT.has(event.tag)) return undefined
        return {
          kind: 'start',
          of: 'content',
          position: { at: 'whole content', component: event.tag },
          at: at(),
        }
      case 'value end':
        return { kind: 'end', of: 'value' }
      case 'content end':
        return DEPENDS_ON_CONTENT.has(event.tag) ? { kind: 'end', of: 'content' } : undefined
    }
  }

  /** Turns the nodes between a start and its end in the same list into one node, if they contain an expression. */
  #wrap(row: readonly (TemplateNode | Boundary)[]): TemplateNode[] {
    const open: { boundary: Start; outer: TemplateNode[] }[] = []
    let nodes: TemplateNode[] = []
    for (const item of row) {
      if (item.kind === 'start') {
        open.push({ boundary: item, outer: nodes })
        nodes = []
      } else if (item.kind === 'end') {
        const start = open.at(-1)
        if (start?.boundary.of !== item.of) continue
        open.pop()
        nodes = joinTexts([...start.outer, ...this.#whole(nodes, start.boundary)])
      } else nodes.push(item)
    }
    for (const { outer } of open.reverse()) nodes = [...outer, ...nodes]
    return joinTexts(nodes)
  }

  #whole(nodes: TemplateNode[], { position, at, of }: Start): TemplateNode[] {
    if (nodes.every(({ kind }) => kind === 'text')) return nodes
    const literal = nodes.some((node) => node.kind === 'text' && node.text.trim() !== '')
    // With fixed text the content is never empty. Only the trimming of title and preview matters then.
    if (position.at === 'whole content' && position.component === 'mj-social-element' && literal) return nodes
    const checks: AttributeNode['checks'] = {}
    const url = position.at === 'attribute' ? urlCheckOf(position.attribute) : undefined
    if (url !== undefined) checks.url = url
    if (of === 'content') {
      checks.content = true
      for (const inner of walk(nodes))
        if (inner.kind === 'text' && inner.text.includes('"')) checks.quotes = true
      if (!literal) checks.present = true
    }
    const name = position.at === 'attribute' ? position.attribute : ''
    const node: AttributeNode = { kind: 'attribute', name, value: nodes, checks, at }
    // Nodes inside it no longer have a position of their own.
    for (const inner of walk(nodes)) {
      this.found.values.delete(inner)
      if (inner.kind === 'value') delete inner.loose
      if (inner.kind === 'block') this.found.blocks.delete(inner)
      if (inner.kind === 'attribute') this.found.attributes.delete(inner)
    }
    this.found.attributes.set(node, position)
    return [node]
  }

  #place(node: TextNode, offset: number): Place {
    const file = this.files.get(node.at.file)
    return file === undefined ? node.at : placeWithin(file, node.at, node.text, offset)
  }
}

/** Joins adjacent texts that were split at boundaries. */
function joinTexts(nodes: TemplateNode[]): TemplateNode[] {
  const joined: TemplateNode[] = []
  for (const node of nodes) {
    const last = joined.at(-1)
    if (node.kind === 'text' && last?.kind === 'text' && last.at === node.at)
      joined[joined.length - 1] = { ...last, text: last.text + node.text }
    else joined.push(node)
  }
  return joined
}
