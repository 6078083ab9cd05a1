import type { BlockFacts } from '../soundness/positions.js'
import type { BlockNode } from '../template/tree.js'
import { type Plan, keyOf } from './instantiate.js'

const MAX_SINGLES = 16
const MIXED = 3

export interface NamedPlan extends Plan {
  /** The block this plan is about, if it is about one. */
  about?: BlockNode
}

/**
 * What the compiler tries: all blocks 0, 1, 2 and 3 times, each block between components alone absent and doubled, and
 * a few mixtures. Blocks inside a component's content touch nothing of MJML's, so they are not tried one by one.
 */
export function plansFor(blocks: ReadonlyMap<BlockNode, BlockFacts>): NamedPlan[] {
  const uniform = (times: number, probe: 0 | 1): NamedPlan => ({ times: () => times, probe })
  if (blocks.size === 0) return [uniform(1, 0), uniform(1, 1)]
  const all = [uniform(0, 1), uniform(2, 1)]
  const plans: NamedPlan[] = [uniform(1, 0)]
  const structural = [...blocks].filter(([, facts]) => facts.around !== undefined).map(([block]) => block)
  if (structural.length === 0) return [...plans, ...all]
  // One by one first: what fails then, fails because of that block.
  for (const block of structural.slice(0, MAX_SINGLES)) {
    const key = keyOf(block)
    for (const times of [0, 2])
      plans.push({ times: (other) => (keyOf(other) === key ? times : 1), probe: 0, about: block })
  }
  plans.push(...all, uniform(3, 0))
  for (let mixture = 1; mixture <= MIXED && structural.length > 1; mixture++)
    plans.push({ times: (block) => mix(keyOf(block), mixture) % 3, probe: 1 })
  return plans
}

function mix(text: string, seed: number): number {
  let hash = seed * 2_654_435
  for (let at = 0; at < text.length; at++) hash = (hash * 33 + text.charCodeAt(at)) % 1_000_003
  return hash
}
