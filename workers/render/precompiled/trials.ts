import { isColorAttribute, urlCheckOf } from '../analysis/components.js'
import type { BlockStructure } from '../analysis/structure.js'
import { describePlace } from '../template/sourceFile.js'
import type { AttributeNode, BlockNode, TemplateNode, ValueNode } from '../template/tree.js'

/** A trial: how often each block shows, and which probe values stand in for data. */
interface Trial {
  times(block: BlockNode): number
  /** Which of two probe values attributes get. */
  probe: 0 | 1
}

/** Where an expression is bound: the blocks and partials around it, with the index of each item. */
type ScopePath = string

/**
 * Prints a template without data: with blocks as often as the trial says, and probes for values. The source and MJML's
 * output get the same probes, because both know where an expression was written.
 */
export function instantiate(
  nodes: readonly TemplateNode[],
  trial: Trial,
  probes: Probes,
  attribute: (value: string, node: AttributeNode) => string,
): string {
  const anchors: ScopePath[] = []
  const print = (list: readonly TemplateNode[], scope: ScopePath, name?: string): string =>
    list.map((node) => printNode(node, scope, name)).join('')
  const printNode = (node: TemplateNode, scope: ScopePath, name: string | undefined): string => {
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
        const times = trial.times(node)
        const inner = `${scope} > ${blockKey(node)}`
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

/** The key of a block, the same in the source and in MJML's output. */
function blockKey(node: BlockNode): string {
  return `${describePlace(node.at)} ${node.source}`
}

const SIZE = /width|height|size|padding|radius|spacing|border/
/** From here up to 0xfff, a color has a short form of three digits. */
const FIRST_SHORT_COLOR = 0xa00

/**
 * Values for trials. An expression has a different value in each scope, so that a value bound in the wrong scope shows.
 * Both sides of a comparison share them.
 */
export class Probes {
  readonly #numbers = new Map<string, number>()

  constructor(private readonly probe: Trial['probe']) {}

  valueOf(node: ValueNode, scope: ScopePath, attribute: string | undefined): string {
    const number = this.#numberOf(`${describePlace(node.at)} ${node.source} in ${scope}`)
    const first = this.probe === 0
    if (attribute === undefined || attribute === '') return `Value${100_000 + number}`
    if (isColorAttribute(attribute))
      return first ? `#${(0xa00000 + number).toString(16)}` : shortColor(number)
    if (urlCheckOf(attribute) !== undefined) return first ? `https://e.example/${number}?a=1` : `/${number}`
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

/** Each trial costs two runs of MJML. */
const MAX_BLOCKS = 60
const MIXED_TRIALS = 3

export interface BlockTrial extends Trial {
  /** The block that this trial is about, if it is about one. */
  about?: BlockNode
}

/** The branch of each block around a block that must show for it to show: 0 for the inverse, 1 for the body. */
type Reach = ReadonlyMap<string, 0 | 1>

/**
 * Returns the trials for a template: all blocks 0, 1, 2 and 3 times, each block between components alone absent and
 * doubled, and a few mixtures. Blocks inside a component's content don't affect MJML, so they have no trials of their own.
 * @returns undefined if there are more blocks than can be tried
 */
export function trialsFor(
  nodes: readonly TemplateNode[],
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
): BlockTrial[] | undefined {
  const uniform = (times: number, probe: 0 | 1): BlockTrial => ({ times: () => times, probe })
  if (blocks.size === 0) return [uniform(1, 0), uniform(1, 1)]
  const all = [uniform(0, 1), uniform(2, 1)]
  const reaches = reachOf(nodes, new Map(), new Map())
  const structural = [...blocks].filter(([, facts]) => facts.around !== undefined).map(([block]) => block)
  if (structural.length === 0) return [uniform(1, 0), ...all]
  if (structural.length > MAX_BLOCKS) return undefined
  // One by one first: a trial that fails then fails because of its block.
  const trials: BlockTrial[] = [uniform(1, 0)]
  for (const block of structural) {
    const key = blockKey(block)
    for (const reach of reaches.get(key) ?? [])
      for (const times of repeats(block) ? [0, 1, 2] : [0, 1]) trials.push(aboutOne(block, key, times, reach))
  }
  trials.push(...all, uniform(3, 0))
  for (let mixture = 1; mixture <= MIXED_TRIALS && structural.length > 1; mixture++)
    trials.push({ times: (block) => mix(blockKey(block), mixture) % 3, probe: 1 })
  return removeDuplicates(trials, structural)
}

function aboutOne(block: BlockNode, key: string, times: number, reach: Reach): BlockTrial {
  return {
    times: (other) => {
      const otherKey = blockKey(other)
      return otherKey === key ? times : (reach.get(otherKey) ?? 1)
    },
    probe: 0,
    about: block,
  }
}

/** Every way to reach each block. A block of a partial may occur in several places. */
function reachOf(
  nodes: readonly TemplateNode[],
  reach: Reach,
  found: Map<string, Reach[]>,
): Map<string, Reach[]> {
  for (const node of nodes) {
    if (node.kind === 'scope') reachOf(node.body, reach, found)
    if (node.kind !== 'block') continue
    const key = blockKey(node)
    found.set(key, [...(found.get(key) ?? []), reach])
    reachOf(node.body, new Map([...reach, [key, 1]]), found)
    reachOf(node.inverse, new Map([...reach, [key, 0]]), found)
  }
  return found
}

/** Plans that show the same blocks as often are tried once. */
function removeDuplicates(trials: readonly BlockTrial[], blocks: readonly BlockNode[]): BlockTrial[] {
  const seen = new Set<string>()
  return trials.filter((trial) => {
    const shown = `${blocks.map((block) => shownTimes(block, trial)).join('')} ${trial.about === undefined ? trial.probe : 0}`
    if (seen.has(shown)) return false
    seen.add(shown)
    return true
  })
}

/** A block that doesn't repeat is shown once at most. */
function shownTimes(block: BlockNode, trial: BlockTrial): number {
  return repeats(block) ? trial.times(block) : Math.min(1, trial.times(block))
}

function mix(text: string, seed: number): number {
  let hash = seed * 2_654_435
  for (let at = 0; at < text.length; at++) hash = (hash * 33 + text.charCodeAt(at)) % 1_000_003
  return hash
}
