import { createHash } from 'node:crypto'
import type { BlockStructure } from '../analysis/structure.js'
import type { AttributeNode, BlockNode, ScopeNode, TemplateNode, ValueNode } from '../template/tree.js'

/** What stands for an expression while MJML runs: a word that MJML hands on as it is. */
export interface Placeholders {
  /** The template with a word in place of each expression. */
  source: string
  /** Finds the words again: groups are the number and, for a block, which of its tags it is. */
  pattern: RegExp
  /** What each word stands for. */
  marked: readonly PlaceholderTarget[]
}

export interface PlaceholderTarget {
  node: ValueNode | AttributeNode | BlockNode
  /** Partials with parameters of their own around it, outermost first. */
  scopes: readonly ScopeNode[]
  /** Which branch of which block it stands in. */
  within: Branch
}

/** One of the two bodies of a block, by a number; `ROOT` is in no block: bound once for a message, whatever the data. */
export type Branch = number

export const ROOT: Branch = 0

/** @param part `s` for the body, `e` for the inverse, as in the words. */
export function branchOf(block: number, part: 's' | 'e'): Branch {
  return 2 * block + (part === 's' ? 1 : 2)
}

/** Puts words in place of expressions. Block tags between components become raw elements, which MJML keeps. */
export function insertPlaceholders(
  nodes: readonly TemplateNode[],
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
): Placeholders {
  const prefix = prefixFor(nodes)
  const marker = new PlaceholderWriter(prefix, blocks)
  const source = marker.all(nodes, [])
  return { source, pattern: new RegExp(`${prefix}(\\d+)([vsec])z`, 'g'), marked: marker.marked }
}

class PlaceholderWriter {
  readonly marked: PlaceholderTarget[] = []
  #within = ROOT

  constructor(
    private readonly prefix: string,
    private readonly blocks: ReadonlyMap<BlockNode, BlockStructure>,
  ) {}

  all(nodes: readonly TemplateNode[], scopes: readonly ScopeNode[]): string {
    return nodes.map((node) => this.#one(node, scopes)).join('')
  }

  #one(node: TemplateNode, scopes: readonly ScopeNode[]): string {
    switch (node.kind) {
      case 'text':
        return node.text
      case 'value':
      case 'attribute':
        return this.#word(this.#note(node, scopes), 'v')
      case 'block':
        return this.#block(node, scopes)
      case 'scope':
        return this.all(node.body, [...scopes, node])
      case 'partial':
      case 'anchor':
      case 'anchored':
        throw new TypeError(`A node of the kind ${node.kind} has no place in MJML`)
    }
  }

  #block(node: BlockNode, scopes: readonly ScopeNode[]): string {
    const id = this.#note(node, scopes)
    const between = this.blocks.get(node)?.position.at === 'between'
    const tag = (part: 's' | 'e' | 'c'): string =>
      between ? `<mj-raw>${this.#word(id, part)}</mj-raw>` : this.#word(id, part)
    const outer = this.#within
    this.#within = branchOf(id, 'e')
    const otherwise = node.inverse.length === 0 ? '' : tag('e') + this.all(node.inverse, [])
    this.#within = branchOf(id, 's')
    const body = this.all(node.body, [])
    this.#within = outer
    return tag('s') + body + otherwise + tag('c')
  }

  #note(node: PlaceholderTarget['node'], scopes: readonly ScopeNode[]): number {
    return this.marked.push({ node, scopes, within: this.#within }) - 1
  }

  #word(id: number, part: string): string {
    return `${this.prefix}${id}${part}z`
  }
}

/** Letters and digits only, found nowhere in the template. */
function prefixFor(nodes: readonly TemplateNode[]): string {
  const text = JSON.stringify(nodes)
  for (let attempt = 0; ; attempt++) {
    const prefix = `q${createHash('sha256').update(`${attempt}`).update(text).digest('hex').slice(0, 8)}x`
    if (!text.includes(prefix)) return prefix
  }
}
