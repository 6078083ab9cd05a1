import type { BlockStructure } from '../analysis/structure.js'
import { NeedsPerMessageRendering } from '../bind/bindingRun.js'
import { loadMjml, type Mjml } from '../mjml.js'
import type { CriticalSection } from '../renderer.js'
import type { BlockNode, TemplateNode } from '../template/tree.js'
import { loadHtmlToText } from '../text/htmlToText.js'
import { layOutText } from '../text/layout.js'
import type { CompileBudget } from './compileBudget.js'
import type { Finding, PrecompiledForm } from './compiledTemplate.js'
import { instantiate, type BlockTrial, trialsFor, Probes } from './trials.js'
import { checkedAttribute } from './valueChecks.js'

/**
 * Compares two documents written by MJML, without regard to insignificant white space, adjacent conditional comments for
 * Outlook, and generated ids. The precompiled head may contain CSS that only absent blocks would have needed.
 * @returns the texts around the first difference, or undefined
 */
export function diff(perMessage: string, precompiled: string): Difference | undefined {
  const [expectedHead, expectedBody] = splitHead(normalize(perMessage))
  const [actualHead, actualBody] = splitHead(normalize(precompiled))
  if (expectedBody !== actualBody) return excerpts(expectedBody, actualBody)
  return headDifference(headLines(expectedHead), headLines(actualHead))
}

const INLINE =
  'a|abbr|b|big|cite|code|del|em|font|i|img|ins|kbd|mark|q|s|samp|small|span|strike|strong|sub|sup|u|var'
/** White space beside a tag that breaks the line anyway. */
const AROUND_BLOCKS = new RegExp(`[ \\t\\n\\r\\f]*(<(?!/?(?:${INLINE})[\\s/>])[^>]*>)[ \\t\\n\\r\\f]*`, 'gi')

function normalize(html: string): string {
  return renumberIds(html)
    .replace(/<!\[endif\]-->\s*<!--\[if mso \| IE\]>/g, '')
    .replace(/[ \t\n\r\f]+/g, ' ')
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

/** The rules and elements of a head. A rule with several selectors counts once for each. */
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

/** The precompiled head must contain every expected line. Its other lines must be CSS, or the elements around CSS. */
function headDifference(expected: readonly string[], actual: readonly string[]): Difference | undefined {
  const present = new Set(actual)
  const absent = expected.find((line) => !present.has(line))
  if (absent !== undefined) return { perMessage: absent, precompiled: '' }
  const known = new Set(expected)
  const extra = actual.find(
    (line) => !known.has(line) && !/\{.*\}$|^@|^<\/?(?:style|link)\b|^<!|^\}$|\{$|^-->/.test(line),
  )
  return extra === undefined ? undefined : { perMessage: '', precompiled: extra }
}

function excerpts(expected: string, actual: string): Difference {
  let at = 0
  while (at < expected.length && expected[at] === actual[at]) at++
  const from = Math.max(0, at - 60)
  return { perMessage: expected.slice(from, at + 120), precompiled: actual.slice(from, at + 120) }
}

/**
 * Compares the precompiled form with rendering per message: with blocks absent, once and several times, and with a
 * different value for an expression in each scope it is bound in.
 * @param load loads the conversion that both have gone through
 * @returns a finding if they differ
 */
export async function verifyPrecompiled(
  source: readonly TemplateNode[],
  form: PrecompiledForm,
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
  budget: CompileBudget,
  load: () => Promise<Mjml> = loadMjml,
): Promise<Finding | undefined> {
  const trials = trialsFor(source, blocks)
  if (trials === undefined) return tooMany(source)
  for (const trial of trials) {
    if (budget.isSpent) return outOfTime(source)
    await budget.pause()
    const difference = await runTrial(source, form, trial, budget.critical, load)
    if (difference !== undefined) return findingOf(source, trial, blocks, difference)
  }
  return undefined
}

const OUT_OF_TIME = 'compiling it takes longer than limits.compile allows'

/** Whether the template was given up because it takes too long to compile. */
export function isOutOfTime({ reason }: Finding): boolean {
  return reason === OUT_OF_TIME
}

function outOfTime(source: readonly TemplateNode[]): Finding {
  return {
    at: source[0]?.at ?? { file: '', line: 1, column: 1 },
    expression: '',
    reason: OUT_OF_TIME,
    advice:
      'increase limits.compile, compile the folder ahead of time with threadpost build, or use fewer blocks between components',
  }
}

function tooMany(source: readonly TemplateNode[]): Finding {
  return {
    at: source[0]?.at ?? { file: '', line: 1, column: 1 },
    expression: '',
    reason: 'the template has more blocks between components than the compiler can verify',
    advice: 'put blocks inside the content of components',
  }
}

export interface Difference {
  perMessage: string
  precompiled: string
}

async function runTrial(
  source: readonly TemplateNode[],
  form: PrecompiledForm,
  trial: BlockTrial,
  critical: CriticalSection,
  load: () => Promise<Mjml>,
): Promise<Difference | undefined> {
  const mjml = await load()
  const toText = await loadHtmlToText()
  const probes = new Probes(trial.probe)
  const running = critical('compile', () => {
    try {
      return {
        html: instantiate(form.html, trial, probes, checkedAttribute),
        perMessage: mjml(instantiate(source, trial, probes, unchanged)),
      }
    } catch (error) {
      // A message with this value would render with MJML anyway, so the trial proves nothing.
      if (error instanceof NeedsPerMessageRendering) return undefined
      throw error
    }
  })
  if (running === undefined) return undefined
  const perMessage = await running.perMessage.catch((error: unknown) => ({
    html: `MJML: ${(error as Error).message}`,
  }))
  return critical('compile', () => {
    const difference = diff(perMessage.html, running.html)
    if (difference !== undefined || form.text === undefined) return difference
    const expectedText = layOutText(toText(perMessage.html))
    const actualText = layOutText(instantiate(form.text, trial, probes, unchanged))
    return expectedText === actualText ? undefined : { perMessage: expectedText, precompiled: actualText }
  })
}

function unchanged(value: string): string {
  return value
}

function findingOf(
  source: readonly TemplateNode[],
  trial: BlockTrial,
  blocks: ReadonlyMap<BlockNode, BlockStructure>,
  difference: Difference,
): Finding {
  const structural = [...blocks].filter(([, facts]) => facts.around !== undefined)
  const only = structural.length === 1 ? structural[0]?.[0] : undefined
  const block = trial.about ?? only
  const around = block === undefined ? undefined : blocks.get(block)?.around
  const shown = `rendered per message ${quote(difference.perMessage)}, precompiled ${quote(difference.precompiled)}`
  if (block === undefined || around === undefined)
    return {
      at: source[0]?.at ?? { file: '', line: 1, column: 1 },
      expression: '',
      reason: `the precompiled template gives a different result: ${shown}`,
      advice: 'keep blocks inside the content of components',
    }
  const columns = around === 'mj-section' || around === 'mj-group'
  return {
    at: block.at,
    expression: block.source,
    reason: columns
      ? 'MJML computes widths from the number of columns'
      : `MJML renders ${around} differently without it: ${shown}`,
    advice: columns
      ? 'give every column a width, or put the block inside the columns'
      : 'put the block inside the content of a component',
  }
}

function quote(text: string): string {
  return JSON.stringify(text.slice(40, 140))
}
