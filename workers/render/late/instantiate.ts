import type { AttributeNode, BlockNode, TemplateNode } from '../template/tree.js'
import { isColor, isUrl } from '../soundness/components.js'
import { describePlace } from '../template/source.js'

/** How often each block is to show: 0 is its inverse. */
export interface Plan {
  times(block: BlockNode): number
  /** Which of several probes attribute values take. */
  probe: 0 | 1
}

/**
 * A template without data: blocks as often as a plan says, and probes for values. The same in the source and in what
 * MJML made of it, because both know where an expression was written.
 */
export function instantiate(
  nodes: readonly TemplateNode[],
  plan: Plan,
  attribute: (value: string, node: AttributeNode) => string,
): string {
  const print = (list: readonly TemplateNode[], name?: string): string =>
    list.map((node) => one(node, name)).join('')
  const one = (node: TemplateNode, name: string | undefined): string => {
    switch (node.kind) {
      case 'text':
        return node.text
      case 'value':
        return probeFor(node, name, plan)
      case 'attribute':
        return attribute(print(node.value, node.name), node)
      case 'scope':
        return print(node.body, name)
      case 'partial':
        return ''
      case 'block': {
        const times = plan.times(node)
        if (times === 0) return print(node.inverse, name)
        return print(node.body, name).repeat(repeats(node) ? times : 1)
      }
    }
  }
  return print(nodes)
}

function repeats({ type }: BlockNode): boolean {
  return type === 'each' || type === 'section' || type === 'call'
}

/** What a block is known by on both sides. */
export function keyOf(node: BlockNode): string {
  return `${describePlace(node.at)} ${node.source}`
}

const SIZE = /width|height|size|padding|radius|spacing|border/

function probeFor(node: TemplateNode, attribute: string | undefined, plan: Plan): string {
  const number = numberOf(`${describePlace(node.at)} ${'source' in node ? node.source : ''}`)
  if (attribute === undefined || attribute === '') return `Value${number}`
  if (isColor(attribute))
    return plan.probe === 0
      ? `#${(0xa00000 + (number % 0xfffff)).toString(16)}`
      : `#${'abcdef'[number % 6]}1c`
  if (isUrl(attribute)) return plan.probe === 0 ? `https://e.example/${number}?a=1` : `/${number}`
  if (SIZE.test(attribute)) return plan.probe === 0 ? `${(number % 40) + 3}px` : `${(number % 9) + 1}%`
  return plan.probe === 0 ? `v${number}` : `v${number} w${number}`
}

function numberOf(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (hash * 31 + text.charCodeAt(at)) % 900_001
  return 100_000 + hash
}
