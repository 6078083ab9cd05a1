import type { Finding } from '../analysis/findings.js'
import type { BlockFacts } from '../analysis/structure.js'
import { NeedsBindingFirst } from '../bind/run.js'
import { loadMjml } from '../mjml.js'
import type { Critical } from '../renderer.js'
import type { BlockNode, TemplateNode } from '../template/tree.js'
import { loadHtmlText } from '../text/htmlText.js'
import { layOut } from '../text/layout.js'
import { diff } from './diff.js'
import type { PrecompiledForm } from './form.js'
import { guardedAttribute } from './guards.js'
import { Probes, instantiate } from './instantiate.js'
import { type NamedPlan, plansFor } from './plans.js'

/**
 * Tries the late form against binding first: blocks absent, once and several times, values in place, and another
 * value for an expression in each scope it is bound in.
 * @returns what refutes it, if anything does.
 */
export async function verifyPrecompiled(
  source: readonly TemplateNode[],
  late: PrecompiledForm,
  blocks: ReadonlyMap<BlockNode, BlockFacts>,
  critical: Critical,
): Promise<Finding | undefined> {
  const plans = plansFor(source, blocks)
  if (plans === undefined) return tooMany(source)
  for (const plan of plans) {
    const apart = await tryPlan(source, late, plan, critical)
    if (apart !== undefined) return findingOf(source, plan, blocks, apart)
  }
  return undefined
}

function tooMany(source: readonly TemplateNode[]): Finding {
  return {
    at: source[0]?.at ?? { file: '', line: 1, column: 1 },
    expression: '',
    reason: 'it has more blocks between components than can be tried out',
    advice: 'put blocks inside the content of components',
  }
}

interface Apart {
  first: string
  late: string
}

async function tryPlan(
  source: readonly TemplateNode[],
  form: PrecompiledForm,
  plan: NamedPlan,
  critical: Critical,
): Promise<Apart | undefined> {
  const mjml = await loadMjml()
  const toText = await loadHtmlText()
  const probes = new Probes(plan.probe)
  const working = critical('compile', () => {
    try {
      return {
        html: instantiate(form.html, plan, probes, guardedAttribute),
        first: mjml(instantiate(source, plan, probes, asItIs)),
      }
    } catch (error) {
      // A value that binds first anyway proves nothing.
      if (error instanceof NeedsBindingFirst) return undefined
      throw error
    }
  })
  if (working === undefined) return undefined
  const first = await working.first.catch((error: unknown) => ({ html: `MJML: ${(error as Error).message}` }))
  return critical('compile', () => {
    const apart = diff(first.html, working.html)
    if (apart !== undefined || form.text === undefined) return apart
    const firstText = layOut(toText(first.html))
    const lateText = layOut(instantiate(form.text, plan, probes, asItIs))
    return firstText === lateText ? undefined : { first: firstText, late: lateText }
  })
}

function asItIs(value: string): string {
  return value
}

function findingOf(
  source: readonly TemplateNode[],
  plan: NamedPlan,
  blocks: ReadonlyMap<BlockNode, BlockFacts>,
  apart: Apart,
): Finding {
  const structural = [...blocks].filter(([, facts]) => facts.around !== undefined)
  const only = structural.length === 1 ? structural[0]?.[0] : undefined
  const block = plan.about ?? only
  const around = block === undefined ? undefined : blocks.get(block)?.around
  const shown = `binding first gives ${quote(apart.first)}, binding late ${quote(apart.late)}`
  if (block === undefined || around === undefined)
    return {
      at: source[0]?.at ?? { file: '', line: 1, column: 1 },
      expression: '',
      reason: `tried out, it comes out otherwise: ${shown}`,
      advice: 'keep blocks inside the content of components',
    }
  const columns = around === 'mj-section' || around === 'mj-group'
  return {
    at: block.at,
    expression: block.source,
    reason: columns
      ? 'MJML computes widths from the number of columns'
      : `MJML makes something else of ${around} without it: ${shown}`,
    advice: columns
      ? 'give every column a width, or put the block inside the columns'
      : 'put the block inside the content of a component',
  }
}

function quote(text: string): string {
  return JSON.stringify(text.slice(40, 140))
}
