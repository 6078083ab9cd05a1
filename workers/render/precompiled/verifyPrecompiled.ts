import type { BlockStructure } from '../analysis/structure.js'
import { NeedsPerMessageRendering } from '../bind/bindingRun.js'
import { loadMjml } from '../mjml.js'
import type { CriticalSection } from '../renderer.js'
import type { BlockNode, TemplateNode } from '../template/tree.js'
import { loadHtmlToText } from '../text/htmlToText.js'
import { layOutText } from '../text/layout.js'
import type { Finding, PrecompiledForm } from './compiledTemplate.js'
import { instantiate, type BlockTrial, trialsFor, Probes } from './trials.js'
import { checkedAttribute } from './valueChecks.js'

/**
 * Whether two documents of MJML's say the same: after insignificant white space, adjacent conditionals for Outlook
 * and generated ids are made alike. The head may hold CSS that only absent blocks would have needed.
 * @returns where they part, or nothing.
 */
export function diff(first: string, late: string): { first: string; late: string } | undefined {
  const [firstHead, firstBody] = splitHead(likeEachOther(first))
  const [lateHead, lateBody] = splitHead(likeEachOther(late))
  if (firstBody !== lateBody) return around(firstBody, lateBody)
  return headDifference(headLines(firstHead), headLines(lateHead))
}

const INLINE =
  'a|abbr|b|big|cite|code|del|em|font|i|img|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|u|var'
/** Space beside a tag that breaks the line anyway. */
const AROUND_BLOCKS = new RegExp(`\\s*(<(?!/?(?:${INLINE})[\\s/>])[^>]*>)\\s*`, 'gi')

function likeEachOther(html: string): string {
  return renumberIds(html)
    .replace(/<!\[endif\]-->\s*<!--\[if mso \| IE\]>/g, '')
    .replace(/\s+/g, ' ')
    .replace(AROUND_BLOCKS, '$1')
}

/** The ids of navigation bars and carousels are random. */
function renumberIds(html: string): string {
  const numbers = new Map<string, number>()
  return html.replace(/\b[0-9a-f]{16}\b/g, (id) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size)
    return `id${numbers.get(id) ?? 0}`
  })
}

function splitHead(html: string): [head: string, body: string] {
  const end = html.indexOf('</head>')
  return end < 0 ? ['', html] : [html.slice(0, end), html.slice(end)]
}

/** Rules and elements of a head; a rule for several classes counts once for each. */
function headLines(head: string): string[] {
  return head
    .replace(/([^{}>]+)\{([^{}]*)\}/g, (_, selectors: string, rule: string) =>
      selectors
        .split(',')
        .map((selector) => `\n${selector.trim()} {${rule.trim()}}\n`)
        .join(''),
    )
    .replace(/(<[^>]*>|@import[^;]*;)/g, '\n$1\n')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/** Everything binding first has must be there; what is more must be CSS, or what it comes in. */
function headDifference(
  first: readonly string[],
  late: readonly string[],
): { first: string; late: string } | undefined {
  const there = new Set(late)
  const absent = first.find((line) => !there.has(line))
  if (absent !== undefined) return { first: absent, late: '' }
  const known = new Set(first)
  const more = late.find(
    (line) => !known.has(line) && !/\{.*\}$|^@|^<\/?(?:style|link)\b|^<!|^\}$|\{$|^-->/.test(line),
  )
  return more === undefined ? undefined : { first: '', late: more }
}

function around(first: string, late: string): { first: string; late: string } {
  let at = 0
  while (at < first.length && first[at] === late[at]) at++
  const from = Math.max(0, at - 60)
  return { first: first.slice(from, at + 120), late: late.slice(from, at + 120) }
}

/**
 * Tries the late form against binding first: blocks absent, once and several times, values in place, and another
 * value for an expression in each scope it is bound in.
 * @returns what refutes it, if anything does.
 */
export async function verifyPrecompiled(
  source: readonly TemplateNode[],
  late: PrecompiledForm,
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
  critical: CriticalSection,
): Promise<Finding | undefined> {
  const plans = trialsFor(source, blocks)
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
  plan: BlockTrial,
  critical: CriticalSection,
): Promise<Apart | undefined> {
  const mjml = await loadMjml()
  const toText = await loadHtmlToText()
  const probes = new Probes(plan.probe)
  const working = critical('compile', () => {
    try {
      return {
        html: instantiate(form.html, plan, probes, checkedAttribute),
        first: mjml(instantiate(source, plan, probes, asItIs)),
      }
    } catch (error) {
      // A value that binds first anyway proves nothing.
      if (error instanceof NeedsPerMessageRendering) return undefined
      throw error
    }
  })
  if (working === undefined) return undefined
  const first = await working.first.catch((error: unknown) => ({ html: `MJML: ${(error as Error).message}` }))
  return critical('compile', () => {
    const apart = diff(first.html, working.html)
    if (apart !== undefined || form.text === undefined) return apart
    const firstText = layOutText(toText(first.html))
    const lateText = layOutText(instantiate(form.text, plan, probes, asItIs))
    return firstText === lateText ? undefined : { first: firstText, late: lateText }
  })
}

function asItIs(value: string): string {
  return value
}

function findingOf(
  source: readonly TemplateNode[],
  plan: BlockTrial,
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
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
