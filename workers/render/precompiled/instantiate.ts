import { isColor, isUrl } from '../analysis/components.js'
import { describePlace } from '../template/source.js'
import type { AttributeNode, BlockNode, TemplateNode, ValueNode } from '../template/tree.js'

/** How often each block is to show: 0 is its inverse. */
export interface Plan {
  times(block: BlockNode): number
  /** Which of several probes attribute values take. */
  probe: 0 | 1
}

/** Where an expression is bound: the blocks and partials around it, and which item of each. */
type ScopePath = string

/**
 * A template without data: blocks as often as a plan says, and probes for values. The same in the source and in what
 * MJML made of it, because both know where an expression was written.
 */
export function instantiate(
  nodes: readonly TemplateNode[],
  plan: Plan,
  probes: Probes,
  attribute: (value: string, node: AttributeNode) => string,
): string {
  const anchors: ScopePath[] = []
  const print = (list: readonly TemplateNode[], scope: ScopePath, name?: string): string =>
    list.map((node) => one(node, scope, name)).join('')
  const one = (node: TemplateNode, scope: ScopePath, name: string | undefined): string => {
    switch (node.kind) {
      case 'text':
        return node.text
      case 'value':
        return probes.valueOf(node, scope, name)
      case 'attribute':
        return attribute(print(node.value, scope, node.name), node)
      case 'scope':
        return print(node.body, `${scope} > ${describePlace(node.at)}`, name)
      case 'anchor':
        anchors[node.id] = scope
        return print(node.body, scope, name)
      case 'anchored':
        return print(node.body, anchors[node.to] ?? 'nowhere', name)
      case 'partial':
        return ''
      case 'block': {
        const times = plan.times(node)
        const inner = `${scope} > ${keyOf(node)}`
        if (times === 0) return print(node.inverse, inner, name)
        const items = Array.from({ length: repeats(node) ? times : 1 }, (_, index) => `${inner}[${index}]`)
        return items.map((item) => print(node.body, item, name)).join('')
      }
    }
  }
  return print(nodes, '')
}

function repeats({ type }: BlockNode): boolean {
  return type === 'each' || type === 'section' || type === 'call'
}

/** What a block is known by on both sides. */
export function keyOf(node: BlockNode): string {
  return `${describePlace(node.at)} ${node.source}`
}

const SIZE = /width|height|size|padding|radius|spacing|border/
/** Of which the short form has three digits. */
const FIRST_SHORT_COLOR = 0xa00

/**
 * Values to try out with. An expression has another one in each scope, so that one that is bound in a scope it was not
 * written in shows; both sides of a comparison share them.
 */
export class Probes {
  readonly #numbers = new Map<string, number>()

  constructor(private readonly probe: Plan['probe']) {}

  valueOf(node: ValueNode, scope: ScopePath, attribute: string | undefined): string {
    const number = this.#numberOf(`${describePlace(node.at)} ${node.source} in ${scope}`)
    const first = this.probe === 0
    if (attribute === undefined || attribute === '') return `Value${100_000 + number}`
    if (isColor(attribute)) return first ? `#${(0xa00000 + number).toString(16)}` : shortColor(number)
    if (isUrl(attribute)) return first ? `https://e.example/${number}?a=1` : `/${number}`
    if (SIZE.test(attribute)) return first ? `${number + 3}px` : `${number + 1}%`
    return first ? `v${100_000 + number}` : `v${100_000 + number} w${100_000 + number}`
  }

  #numberOf(key: string): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    this.#numbers.set(key, this.#numbers.size)
    return this.#numbers.size - 1
  }
}

function shortColor(number: number): string {
  const code = FIRST_SHORT_COLOR + number
  return `#${code <= 0xfff ? code.toString(16) : (0xa00000 + number).toString(16)}`
}
