import { createHash } from 'node:crypto'
import type { BlockStructure } from '../analysis/structure.js'
import type { AttributeNode, BlockNode, ScopeNode, TemplateNode, ValueNode } from '../template/tree.js'

/** A source in which a placeholder replaces each expression while MJML runs: a word that MJML copies unchanged. */
export interface Placeholders {
  /** The MJML source with placeholders. */
  source: string
  /** Matches a placeholder. Its groups are the number and the part: `v` for a value; `s`, `e` and `c` for a block's start, else and close. */
  pattern: RegExp
  /** The node of each placeholder, by number. */
  targets: readonly PlaceholderTarget[]
}

/** The node that a placeholder stands for. */
export interface PlaceholderTarget {
  node: ValueNode | AttributeNode | BlockNode
  /** The scope nodes around it within its branch, outermost first. */
  scopes: readonly ScopeNode[]
  /** The branch of the block that contains it. */
  branch: Branch
}

/** The number of a branch, which is the body or the inverse of a block. `ROOT` is outside writeAll blocks: bound once for each message. */
export type Branch = number

export const ROOT: Branch = 0

/** @param part `s` for the body, `e` for the inverse, as in placeholders */
export function branchOf(block: number, part: 's' | 'e'): Branch {
  return 2 * block + (part === 's' ? 1 : 2)
}

/** Replaces expressions with placeholders. Block tags between components become `mj-raw` elements, which MJML keeps. */
export function insertPlaceholders(
  nodes: readonly TemplateNode[],
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
): Placeholders {
  const prefix = prefixFor(nodes)
  const writer = new PlaceholderWriter(prefix, blocks)
  const source = writer.writeAll(nodes, [])
  return { source, pattern: new RegExp(`${prefix}(\\d+)([vsec])z`, 'g'), targets: writer.targets }
}

class PlaceholderWriter {
  readonly targets: PlaceholderTarget[] = []
  #branch = ROOT

  constructor(
    private readonly prefix: string,
    private readonly blocks: ReadonlyMap<BlockNode, BlockStructure>,
  ) {}

  writeAll(nodes: readonly TemplateNode[], scopes: readonly ScopeNode[]): string {
    return nodes.map((node) => this.#write(node, scopes)).join('')
  }

  #write(node: TemplateNode, scopes: readonly ScopeNode[]): string {
    switch (node.kind) {
      case 'text':
        return node.text
      case 'value':
      case 'attribute':
        return this.#placeholder(this.#register(node, scopes), 'v')
      case 'block':
        return this.#block(node, scopes)
      case 'scope':
        return this.writeAll(node.body, [...scopes, node])
      case 'partial':
      case 'anchor':
      case 'anchored':
        throw new TypeError(`A ${node.kind} node can't become a placeholder`)
    }
  }

  #block(node: BlockNode, scopes: readonly ScopeNode[]): string {
    const id = this.#register(node, scopes)
    const between = this.blocks.get(node)?.position.at === 'between'
    const tag = (part: 's' | 'e' | 'c'): string =>
      between ? `<mj-raw>${this.#placeholder(id, part)}</mj-raw>` : this.#placeholder(id, part)
    const outer = this.#branch
    this.#branch = branchOf(id, 'e')
    const otherwise = node.inverse.length === 0 ? '' : tag('e') + this.writeAll(node.inverse, [])
    this.#branch = branchOf(id, 's')
    const body = this.writeAll(node.body, [])
    this.#branch = outer
    return tag('s') + body + otherwise + tag('c')
  }

  #register(node: PlaceholderTarget['node'], scopes: readonly ScopeNode[]): number {
    return this.targets.push({ node, scopes, branch: this.#branch }) - 1
  }

  #placeholder(id: number, part: string): string {
    return `${this.prefix}${id}${part}z`
  }
}

/** A prefix of letters and digits that occurs nowhere in the template. */
function prefixFor(nodes: readonly TemplateNode[]): string {
  const text = JSON.stringify(nodes)
  for (let attempt = 0; ; attempt++) {
    const prefix = `q${createHash('sha256').update(`${attempt}`).update(text).digest('hex').slice(0, 8)}x`
    if (!text.includes(prefix)) return prefix
  }
}
