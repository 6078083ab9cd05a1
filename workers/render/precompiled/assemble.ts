import type { AttributeNode, BlockNode, Place, TemplateNode, ValueNode } from '../template/tree.js'
import { type Branch, type Marked, type Markers, ROOT, branchOf } from './placeholders.js'

/** What MJML made of a marked source, as a template again. */
export interface Assembled {
  nodes: TemplateNode[]
  /** Marks that are missing in the branch they were written in: MJML dropped them, or copied them into others only. */
  lost: Marked[]
  /** Those of them that stand in no block: what they ask of the data counts all the same. */
  unseen: TemplateNode[]
}

/** A text whose blocks are no longer blocks, or whose values can't be bound where they stand. */
export interface Broken {
  broken: string
  node?: Marked['node']
}

/** How a mark becomes a node where it stands in the output, and how much of the text after it belongs to it. */
export type Adapt = (node: ValueNode | AttributeNode, after: string) => { node: TemplateNode; taken?: number }

/** Reads the marks in a text. A value that MJML copied into a block is bound in the scope it was written in. */
export function assemble(text: string, markers: Markers, adapt: Adapt): Assembled | Broken {
  return new Assembler(text, markers, adapt).run()
}

interface Open {
  id: number
  marked: Marked
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
    private readonly markers: Markers,
    private readonly adapt: Adapt,
  ) {}

  run(): Assembled | Broken {
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

  #word(id: number, part: string, index: number, length: number): Broken | undefined {
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

  #start(id: number, node: BlockNode, marked: Marked): undefined {
    const body: TemplateNode[] = []
    const branch = branchOf(id, 's')
    this.#open.push({
      ...{ id, node, marked, branch, body },
      ...{ outerBranch: this.#branch, outer: this.#nodes, inverse: undefined },
    })
    this.#nodes = body
    this.#branch = branch
  }

  #otherwise(block: Open): Broken | undefined {
    if (block.inverse !== undefined) return { broken: 'MJML repeated its {{else}}', node: block.node }
    this.#nodes = block.inverse = []
    this.#branch = block.branch = branchOf(block.id, 'e')
    return undefined
  }

  #end({ id, node, marked, body, inverse = [], outer, outerBranch }: Open): Broken | undefined {
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
  #add(id: number, node: TemplateNode, marked: Marked): Broken | undefined {
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

function inScopes(node: TemplateNode, { scopes }: Marked): TemplateNode {
  return scopes.reduceRight<TemplateNode>((inner, scope) => ({ ...scope, body: [inner] }), node)
}

/** What MJML wrote has no place in the source. */
const OUTPUT: Place = { file: '', line: 0, column: 0 }
