import { decodeEntities } from '../template/subjectAndPreheader.js'
import type { AttributeNode, BlockNode, Place, TemplateNode, ValueNode } from '../template/tree.js'
import { type Branch, branchOf, type PlaceholderTarget, type Placeholders, ROOT } from './placeholders.js'

/** What MJML made of a marked source, as a template again. */
export interface Assembled {
  nodes: TemplateNode[]
  /** Marks that are missing in the branch they were written in: MJML dropped them, or copied them into others only. */
  lost: PlaceholderTarget[]
  /** Those of them that stand in no block: what they ask of the data counts all the same. */
  unseen: TemplateNode[]
}

/** A text whose blocks are no longer blocks, or whose values can't be bound where they stand. */
export interface AssemblyFailure {
  broken: string
  node?: PlaceholderTarget['node']
}

/** How a mark becomes a node where it stands in the output, and how much of the text after it belongs to it. */
export type AdaptNode = (
  node: ValueNode | AttributeNode,
  after: string,
) => { node: TemplateNode; taken?: number }

/** Reads the marks in a text. A value that MJML copied into a block is bound in the scope it was written in. */
export function assemble(text: string, markers: Placeholders, adapt: AdaptNode): Assembled | AssemblyFailure {
  return new Assembler(text, markers, adapt).run()
}

interface Open {
  id: number
  marked: PlaceholderTarget
  node: BlockNode
  /** Which branch is being read, and which the block itself stands in. */
  branch: Branch
  outerBranch: Branch
  body: TemplateNode[]
  inverse: TemplateNode[] | undefined
  outer: TemplateNode[]
}

class Assembler {
  /** Marks that stand in the branch they were written in. */
  readonly #home = new Set<number>()
  /** Branches whose scope is needed deeper inside. */
  readonly #anchors = new Set<Branch>()
  readonly #open: Open[] = []
  #branch: Branch = ROOT
  #nodes: TemplateNode[] = []
  #done = 0

  constructor(
    private readonly text: string,
    private readonly markers: Placeholders,
    private readonly adapt: AdaptNode,
  ) {}

  run(): Assembled | AssemblyFailure {
    for (const found of this.text.matchAll(this.markers.pattern)) {
      const broken = this.#word(Number(found[1]), found[2] ?? '', found.index, found[0].length)
      if (broken !== undefined) return broken
    }
    const unclosed = this.#open.at(-1)
    if (unclosed !== undefined) return { broken: 'MJML dropped its end', node: unclosed.node }
    this.#addText(this.text.length)
    const lost = this.markers.marked.filter((_, id) => !this.#home.has(id))
    return {
      nodes: this.#anchor(ROOT, this.#nodes),
      lost,
      unseen: lost.filter(({ within }) => within === ROOT).map((marked) => inScopes(marked.node, marked)),
    }
  }

  #word(id: number, part: string, index: number, length: number): AssemblyFailure | undefined {
    const marked = this.markers.marked[id]
    if (marked === undefined) return { broken: 'MJML changed a mark' }
    this.#addText(index)
    this.#done = index + length
    const { node } = marked
    if (node.kind !== 'block') {
      const { node: adapted, taken = 0 } = this.adapt(node, this.text.slice(this.#done, this.#done + 40))
      this.#done += taken
      return this.#add(id, adapted, marked)
    }
    if (part === 's') return this.#start(id, node, marked)
    const block = this.#open.at(-1)
    if (block?.id !== id) return { broken: 'MJML moved its tags apart', node }
    return part === 'e' ? this.#otherwise(block) : this.#end(block)
  }

  #start(id: number, node: BlockNode, marked: PlaceholderTarget): undefined {
    const body: TemplateNode[] = []
    const branch = branchOf(id, 's')
    this.#open.push({
      ...{ id, node, marked, branch, body },
      ...{ outerBranch: this.#branch, outer: this.#nodes, inverse: undefined },
    })
    this.#nodes = body
    this.#branch = branch
  }

  #otherwise(block: Open): AssemblyFailure | undefined {
    if (block.inverse !== undefined) return { broken: 'MJML repeated its {{else}}', node: block.node }
    this.#nodes = block.inverse = []
    this.#branch = block.branch = branchOf(block.id, 'e')
    return undefined
  }

  #end({ id, node, marked, body, inverse = [], outer, outerBranch }: Open): AssemblyFailure | undefined {
    this.#open.pop()
    this.#nodes = outer
    this.#branch = outerBranch
    const whole = {
      ...node,
      body: this.#anchor(branchOf(id, 's'), body),
      inverse: this.#anchor(branchOf(id, 'e'), inverse),
    }
    return this.#add(id, whole, marked)
  }

  /**
   * Adds a node to the branch at hand. The innermost branch decides the scope, since what it stands in was itself
   * added in the scope it was written in.
   */
  #add(id: number, node: TemplateNode, marked: PlaceholderTarget): AssemblyFailure | undefined {
    const scoped = inScopes(node, marked)
    const { within } = marked
    if (within === this.#branch) {
      this.#home.add(id)
      this.#nodes.push(scoped)
      return undefined
    }
    if (within !== ROOT && this.#open.every(({ branch }) => branch !== within))
      return { broken: 'MJML moves it out of the block it stands in', node: marked.node }
    this.#anchors.add(within)
    this.#nodes.push({ kind: 'anchored', to: within, body: [scoped], at: OUTPUT })
    return undefined
  }

  #anchor(id: Branch, body: TemplateNode[]): TemplateNode[] {
    return this.#anchors.has(id) ? [{ kind: 'anchor', id, body, at: OUTPUT }] : body
  }

  #addText(end: number): void {
    if (end > this.#done)
      this.#nodes.push({ kind: 'text', text: this.text.slice(this.#done, end), at: OUTPUT })
  }
}

function inScopes(node: TemplateNode, { scopes }: PlaceholderTarget): TemplateNode {
  return scopes.reduceRight<TemplateNode>((inner, scope) => ({ ...scope, body: [inner] }), node)
}

/** What MJML wrote has no place in the source. */
const OUTPUT: Place = { file: '', line: 0, column: 0 }

/** In HTML: what MJML did to a copy of a value is to be done when it is bound. */
export function htmlAdapter(html: string, markers: { pattern: RegExp }): AdaptNode {
  const inside = new Set<number>()
  let copies = 0
  const places: number[] = []
  for (const found of html.matchAll(markers.pattern)) if (found[2] === 'v') places.push(found.index)
  for (const comment of html.matchAll(/<!--\[if\s[^\]]+\]>[\s\S]*?<!\[endif\]-->/g))
    for (const [index, place] of places.entries())
      if (place > comment.index && place < comment.index + comment[0].length) inside.add(index)
  return (node, after) => {
    const tidy = inside.has(copies++)
    return adaptHtmlNode(node, after, tidy)
  }
}

const SUFFIX = /^-[a-z]+(?=["\s])/

function adaptHtmlNode(node: ValueNode | AttributeNode, after: string, tidy: boolean): ReturnType<AdaptNode> {
  if (node.kind === 'value') {
    if (!tidy) return { node }
    return { node: { kind: 'attribute', name: '', value: [node], checks: { tidy: true }, at: node.at } }
  }
  const suffix = node.name === 'css-class' ? SUFFIX.exec(after)?.[0] : undefined
  const checks = { ...node.checks }
  if (tidy) checks.tidy = true
  if (suffix !== undefined) checks.suffix = suffix
  return { node: { ...node, checks }, taken: suffix?.length ?? 0 }
}

/** In the text part nothing is HTML: the fixed text of an attribute value loses its references. */
export const adaptTextNode: AdaptNode = (node) => {
  if (node.kind === 'value' || node.checks.content) return { node }
  return { node: { ...node, value: node.value.map(decoded), checks: {} } }
}

function decoded(node: TemplateNode): TemplateNode {
  switch (node.kind) {
    case 'text':
      return { ...node, text: decodeEntities(node.text) }
    case 'block':
      return { ...node, body: node.body.map(decoded), inverse: node.inverse.map(decoded) }
    case 'anchor':
    case 'anchored':
    case 'scope':
      return { ...node, body: node.body.map(decoded) }
    default:
      return node
  }
}
