import type { BlockFacts } from '../analysis/structure.js'
import type { BlockNode, TemplateNode } from '../template/tree.js'
import { type Plan, keyOf } from './instantiate.js'

/** Each costs two runs of MJML. */
const MAX_TRIED = 60
const MIXED = 3

export interface NamedPlan extends Plan {
  /** The block this plan is about, if it is about one. */
  about?: BlockNode
}

/** Blocks around components, each with what its ancestors must be for it to show: 0 for the inverse, 1 for the body. */
type Reach = ReadonlyMap<string, 0 | 1>

/**
 * What the compiler tries: all blocks 0, 1, 2 and 3 times, each block between components alone absent and doubled, and
 * a few mixtures. Blocks inside a component's content touch nothing of MJML's, so they are not tried one by one.
 * @returns nothing if there are more blocks than can be tried.
 */
export function plansFor(
  nodes: readonly TemplateNode[],
  blocks: ReadonlyMap<BlockNode, BlockFacts>,
): NamedPlan[] | undefined {
  const uniform = (times: number, probe: 0 | 1): NamedPlan => ({ times: () => times, probe })
  if (blocks.size === 0) return [uniform(1, 0), uniform(1, 1)]
  const all = [uniform(0, 1), uniform(2, 1)]
  const reaches = reachOf(nodes, new Map(), new Map())
  const structural = [...blocks].filter(([, facts]) => facts.around !== undefined).map(([block]) => block)
  if (structural.length === 0) return [uniform(1, 0), ...all]
  if (structural.length > MAX_TRIED) return undefined
  // One by one first: what fails then, fails because of that block.
  const plans: NamedPlan[] = [uniform(1, 0)]
  for (const block of structural) {
    const key = keyOf(block)
    for (const reach of reaches.get(key) ?? [])
      for (const times of [0, 1, 2]) plans.push(aboutOne(block, key, times, reach))
  }
  plans.push(...all, uniform(3, 0))
  for (let mixture = 1; mixture <= MIXED && structural.length > 1; mixture++)
    plans.push({ times: (block) => mix(keyOf(block), mixture) % 3, probe: 1 })
  return withoutRepeats(plans, structural)
}

function aboutOne(block: BlockNode, key: string, times: number, reach: Reach): NamedPlan {
  return {
    times: (other) => {
      const otherKey = keyOf(other)
      return otherKey === key ? times : (reach.get(otherKey) ?? 1)
    },
    probe: 0,
    about: block,
  }
}

/** Every way to reach each block; a block of a partial may stand in several places. */
function reachOf(
  nodes: readonly TemplateNode[],
  reach: Reach,
  found: Map<string, Reach[]>,
): Map<string, Reach[]> {
  for (const node of nodes) {
    if (node.kind === 'scope') reachOf(node.body, reach, found)
    if (node.kind !== 'block') continue
    const key = keyOf(node)
    found.set(key, [...(found.get(key) ?? []), reach])
    reachOf(node.body, new Map([...reach, [key, 1]]), found)
    reachOf(node.inverse, new Map([...reach, [key, 0]]), found)
  }
  return found
}

/** Plans that show the same blocks as often are tried once. */
function withoutRepeats(plans: readonly NamedPlan[], blocks: readonly BlockNode[]): NamedPlan[] {
  const seen = new Set<string>()
  return plans.filter((plan) => {
    const shown = `${blocks.map((block) => plan.times(block)).join('')} ${plan.about === undefined ? plan.probe : 0}`
    if (seen.has(shown)) return false
    seen.add(shown)
    return true
  })
}

function mix(text: string, seed: number): number {
  let hash = seed * 2_654_435
  for (let at = 0; at < text.length; at++) hash = (hash * 33 + text.charCodeAt(at)) % 1_000_003
  return hash
}
