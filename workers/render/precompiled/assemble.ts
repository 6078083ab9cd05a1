import type { AttributeNode, BlockNode, Place, TemplateNode, ValueNode } from '../template/tree.js'
import { type Branch, branchOf, type PlaceholderTarget, type Placeholders, ROOT } from './placeholders.js'

/** MJML's output, turned back into template nodes. */
export interface Assembled {
  nodes: TemplateNode[]
  /** Placeholders missing from the branch they were written in: MJML dropped them, or copied them only into other branches. */
  dropped: PlaceholderTarget[]
  /** The dropped nodes that are in no block. The data that they need is required all the same. */
  unseen: TemplateNode[]
}

/** The reason why the output can't be used: MJML broke up a block, or moved a value to a place where it can't be bound. */
export interface AssemblyFailure {
  reason: string
  node?: PlaceholderTarget['node']
}

/** Adapts the node of a placeholder to its place in the output. `taken` counts the characters after it that the node replaces. */
export type AdaptNode = (
  node: ValueNode | AttributeNode,
  after: string,
) => { node: TemplateNode; taken?: number }

/** Replaces the placeholders in a text with their nodes. A value that MJML copied into a block keeps the scope it was written in. */
export function assemble(
  text: string,
  placeholders: Placeholders,
  adapt: AdaptNode,
): Assembled | AssemblyFailure {
  return new Assembler(text, placeholders, adapt).run()
}

interface Open {
  id: number
  target: PlaceholderTarget
  node: BlockNode
  /** `branch` is being read; the block itself is in `outerBranch`. */
  branch: Branch
  outerBranch: Branch
  body: TemplateNode[]
  inverse: TemplateNode[] | undefined
  outer: TemplateNode[]
}

class Assembler {
  /** Placeholders found in the branch they were written in. */
  readonly #inPlace = new Set<number>()
  /** Branches whose scope is needed by nodes deeper inside. */
  readonly #anchors = new Set<Branch>()
  readonly #open: Open[] = []
  #branch: Branch = ROOT
  #nodes: TemplateNode[] = []
  #consumed = 0

  constructor(
    private readonly text: string,
    private readonly placeholders: Placeholders,
    private readonly adapt: AdaptNode,
  ) {}

  run(): Assembled | AssemblyFailure {
    for (const found of this.text.matchAll(this.placeholders.pattern)) {
      const failure = this.#placeholder(Number(found[1]), found[2] ?? '', found.index, found[0].length)
      if (failure !== undefined) return failure
    }
    const unclosed = this.#open.at(-1)
    if (unclosed !== undefined) return { reason: 'MJML dropped the end of this block', node: unclosed.node }
    this.#addText(this.text.length)
    const dropped = this.placeholders.targets.filter((_, id) => !this.#inPlace.has(id))
    return {
      nodes: this.#anchor(ROOT, this.#nodes),
      dropped,
      unseen: dropped.filter(({ branch }) => branch === ROOT).map((target) => inScopes(target.node, target)),
    }
  }

  #placeholder(id: number, part: string, index: number, length: number): AssemblyFailure | undefined {
    const target = this.placeholders.targets[id]
    if (target === undefined) return { reason: 'MJML changed a placeholder' }
    this.#addText(index)
    this.#consumed = index + length
    const { node } = target
    if (node.kind !== 'block') {
      const { node: adapted, taken = 0 } = this.adapt(
        node,
        this.text.slice(this.#consumed, this.#consumed + 40),
      )
      this.#consumed += taken
      return this.#add(id, adapted, target)
    }
    if (part === 's') return this.#start(id, node, target)
    const block = this.#open.at(-1)
    if (block?.id !== id) return { reason: 'MJML separated the tags of this block', node }
    return part === 'e' ? this.#otherwise(block) : this.#end(block)
  }

  #start(id: number, node: BlockNode, target: PlaceholderTarget): undefined {
    const body: TemplateNode[] = []
    const branch = branchOf(id, 's')
    this.#open.push({
      ...{ id, node, target, branch, body },
      ...{ outerBranch: this.#branch, outer: this.#nodes, inverse: undefined },
    })
    this.#nodes = body
    this.#branch = branch
  }

  #otherwise(block: Open): AssemblyFailure | undefined {
    if (block.inverse !== undefined)
      return { reason: 'MJML repeated the {{else}} of this block', node: block.node }
    this.#nodes = block.inverse = []
    this.#branch = block.branch = branchOf(block.id, 'e')
    return undefined
  }

  #end({ id, node, target, body, inverse = [], outer, outerBranch }: Open): AssemblyFailure | undefined {
    this.#open.pop()
    this.#nodes = outer
    this.#branch = outerBranch
    const whole = {
      ...node,
      body: this.#anchor(branchOf(id, 's'), body),
      inverse: this.#anchor(branchOf(id, 'e'), inverse),
    }
    return this.#add(id, whole, target)
  }

  /**
   * Adds a node to the current branch. The innermost branch decides the scope, because the blocks around it were
   * themselves added in the scope they were written in.
   */
  #add(id: number, node: TemplateNode, target: PlaceholderTarget): AssemblyFailure | undefined {
    const scoped = inScopes(node, target)
    const { branch } = target
    if (branch === this.#branch) {
      this.#inPlace.add(id)
      this.#nodes.push(scoped)
      return undefined
    }
    if (branch !== ROOT && this.#open.every((open) => open.branch !== branch))
      return { reason: 'MJML moves it out of its block', node: target.node }
    this.#anchors.add(branch)
    this.#nodes.push({ kind: 'anchored', to: branch, body: [scoped], at: OUTPUT })
    return undefined
  }

  #anchor(id: Branch, body: TemplateNode[]): TemplateNode[] {
    return this.#anchors.has(id) ? [{ kind: 'anchor', id, body, at: OUTPUT }] : body
  }

  #addText(end: number): void {
    if (end > this.#consumed)
      this.#nodes.push({ kind: 'text', text: this.text.slice(this.#consumed, end), at: OUTPUT })
  }
}

function inScopes(node: TemplateNode, { scopes }: PlaceholderTarget): TemplateNode {
  return scopes.reduceRight<TemplateNode>((inner, scope) => ({ ...scope, body: [inner] }), node)
}

/** Output of MJML has no place in the source. */
const OUTPUT: Place = { file: '', line: 0, column: 0 }

/** Returns an adapter for HTML: changes that MJML makes to a copied value are made when the value is bound. */
export function htmlAdapter(html: string, placeholders: { pattern: RegExp }): AdaptNode {
  const inside = new Set<number>()
  let copies = 0
  const places: number[] = []
  for (const found of html.matchAll(placeholders.pattern)) if (found[2] === 'v') places.push(found.index)
  for (const comment of html.matchAll(/<!--\[if\s[^\]]+\]>[\s\S]*?<!\[endif\]-->/g))
    for (const [index, place] of places.entries())
      if (place > comment.index && place < comment.index + comment[0].length) inside.add(index)
  return (node, after) => {
    const collapsesSpace = inside.has(copies++)
    return adaptHtmlNode(node, after, collapsesSpace)
  }
}

const SUFFIX = /^-[a-z]+(?=["\s])/

function adaptHtmlNode(
  node: ValueNode | AttributeNode,
  after: string,
  collapsesSpace: boolean,
): ReturnType<AdaptNode> {
  if (node.kind === 'value') {
    if (!collapsesSpace) return { node }
    return {
      node: { kind: 'attribute', name: '', value: [node], checks: { tidy: true }, at: node.at },
    }
  }
  const suffix = node.name === 'css-class' ? SUFFIX.exec(after)?.[0] : undefined
  const checks = { ...node.checks }
  if (collapsesSpace) checks.tidy = true
  if (suffix !== undefined) checks.suffix = suffix
  return { node: { ...node, checks }, taken: suffix?.length ?? 0 }
}
