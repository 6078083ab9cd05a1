import { annotate, annotateFragment } from '../analysis/annotate.js'
import { applyRules, findInlineStyles, rewritesBody } from '../analysis/rules.js'
import type { Annotations } from '../analysis/structure.js'
import { loadMjml } from '../mjml.js'
import type { CriticalSection } from '../renderer.js'
import { parseTemplate, type VariantSource, walk } from '../template/parseTemplate.js'
import { describePlace } from '../template/sourceFile.js'
import type { TemplateNode } from '../template/tree.js'
import { type HtmlToText, loadHtmlToText } from '../text/htmlToText.js'
import { adaptTextNode, assemble, type AssemblyFailure, htmlAdapter } from './assemble.js'
import type { CompiledTemplate, Finding, PrecompiledForm } from './compiledTemplate.js'
import { insertPlaceholders, type PlaceholderTarget, type Placeholders, ROOT } from './placeholders.js'
import { unlinkedFontPattern } from './valueChecks.js'
import { verifyPrecompiled } from './verifyPrecompiled.js'

/** MJML's default fonts; a template's own come from its `mj-font`. */
const FONTS = ['Open Sans', 'Droid Sans', 'Lato', 'Roboto', 'Ubuntu']

/** What the compiler needs besides the source. */
export interface CompileOptions {
  critical: CriticalSection
  /** Names of helpers that may answer with HTML. */
  customHelpers: ReadonlySet<string>
}

/** The trees with attribute values as nodes; those of partials that are called by a computed name, too. */
function locatedTrees(source: VariantSource) {
  const { trees, files } = parseTemplate(source)
  const positions = annotate(trees.mjml, files)
  trees.mjml = positions.nodes
  for (const [name, nodes] of Object.entries(trees.partials))
    trees.partials[name] = annotateFragment(nodes, files)
  return { trees, positions }
}

/** A template that binds first, because trying it out would not pay. @throws TemplateFailure */
export function compileWithoutMjml(source: VariantSource, critical: CriticalSection): CompiledTemplate {
  return critical('compile', () => {
    const { trees, positions } = locatedTrees(source)
    return { trees, findings: [], warnings: droppedText(positions) }
  })
}

/** Compiles a template for good: once to MJML, and tried out against binding first. @throws TemplateFailure */
export async function compileTemplate(
  source: VariantSource,
  options: CompileOptions,
): Promise<CompiledTemplate> {
  const { critical } = options
  const { trees, positions, markers, findings } = critical('compile', () => {
    const { trees, positions } = locatedTrees(source)
    const findings = applyRules(positions, findInlineStyles(trees.mjml))
    if (rewritesBody(trees.mjml)) findings.push(REWRITTEN(trees.mjml))
    const markers = findings.length === 0 ? insertPlaceholders(trees.mjml, positions.blocks) : undefined
    return { trees, positions, markers, findings }
  })
  const compiled: CompiledTemplate = { trees, findings, warnings: droppedText(positions) }
  if (markers === undefined) return compiled

  const made = await makeLate(trees.mjml, markers, options)
  if ('finding' in made) return { ...compiled, findings: [made.finding] }
  const late = trees.text === undefined ? made.late : withoutText(made.late)
  const refuted = await verifyPrecompiled(trees.mjml, late, positions.blocks, critical)
  if (refuted !== undefined) return { ...compiled, findings: [refuted] }
  return { ...compiled, late, warnings: [...compiled.warnings, ...made.warnings] }
}

const REWRITTEN = (nodes: readonly TemplateNode[]): Finding =>
  wholeTemplate(
    nodes,
    'mj-html-attributes changes the finished body',
    'write the attributes into the content',
  )

function droppedText({ dropped }: Annotations): string[] {
  return dropped.map((at) => `${describePlace(at)}: MJML drops text between components`)
}

interface Made {
  late: PrecompiledForm
  warnings: string[]
}

async function makeLate(
  nodes: readonly TemplateNode[],
  markers: Placeholders,
  { critical, customHelpers }: CompileOptions,
): Promise<Made | { finding: Finding }> {
  const mjml = await loadMjml()
  const toText = await loadHtmlToText()
  const working = critical('compile', () => mjml(markers.source))
  const made = await working.catch((error: unknown) => error as Error)
  // It may be the marks that MJML can't read; if it is the template, binding first will say so.
  if (made instanceof Error)
    return { finding: wholeTemplate(nodes, `MJML fails: ${made.message}`, 'mend what MJML complains of') }
  const { html, warnings } = made
  return critical('compile', () => {
    const styles = findInlineStyles(nodes)
    const assembled = assemble(html, markers, htmlAdapter(html, markers))
    if ('broken' in assembled) return { finding: brokenFinding(nodes, assembled) }
    const lost = assembled.lost.find(({ node, within }) => within !== ROOT || node.kind === 'block')
    if (lost !== undefined) return { finding: lostFinding(lost.node) }
    const late: PrecompiledForm = {
      html: assembled.nodes,
      unseen: assembled.unseen,
      suspect: unlinkedFontPattern(html, [...FONTS, ...ownFonts(nodes)]).source,
      readsDocument: styles !== undefined,
    }
    const text = textOf(html, markers, toText, nodes, customHelpers)
    if (text !== undefined) late.text = text
    return {
      late,
      warnings: warnings.map(({ line, tag, message }) => `${tag}, line ${line} of the whole: ${message}`),
    }
  })
}

/** A helper that makes something of its block needs to see HTML, so that its text comes from the bound HTML. */
function textOf(
  html: string,
  markers: Placeholders,
  toText: HtmlToText,
  nodes: readonly TemplateNode[],
  customHelpers: ReadonlySet<string>,
): TemplateNode[] | undefined {
  for (const node of walk(nodes)) {
    if (node.kind !== 'block' || node.subject.kind !== 'call' || node.type !== 'call') continue
    if (customHelpers.has(node.subject.helper)) return undefined
  }
  const assembled = assemble(toText(html), markers, adaptTextNode)
  if ('broken' in assembled) return undefined
  for (const node of walk(assembled.nodes))
    if (node.kind === 'attribute' && node.checks.content) return undefined
  return assembled.nodes
}

function withoutText({ text: _text, ...late }: PrecompiledForm): PrecompiledForm {
  return late
}

function ownFonts(nodes: readonly TemplateNode[]): string[] {
  const fonts: string[] = []
  for (const node of walk(nodes))
    if (node.kind === 'text')
      for (const [, attributes = ''] of node.text.matchAll(/<mj-font\b([^>]*)/g)) {
        const name = /\bname\s*=\s*["']([^"']+)/.exec(attributes)?.[1]
        if (name !== undefined) fonts.push(name)
      }
  return fonts
}

function lostFinding(node: PlaceholderTarget['node']): Finding {
  return {
    at: node.at,
    expression: expressionOf(node),
    reason: 'MJML does not use it where it stands',
    advice: 'take it out, or put it where MJML shows it',
  }
}

function expressionOf(node: PlaceholderTarget['node']): string {
  return node.kind === 'attribute' ? node.name : node.source
}

function brokenFinding(nodes: readonly TemplateNode[], broken: AssemblyFailure): Finding {
  if (broken.node === undefined)
    return wholeTemplate(nodes, broken.broken, 'keep expressions out of attributes that MJML computes with')
  return {
    at: broken.node.at,
    expression: expressionOf(broken.node),
    reason: broken.broken,
    advice:
      broken.node.kind === 'block'
        ? 'put the block inside the content of a component'
        : 'keep the expression inside the content of a component',
  }
}

function wholeTemplate(nodes: readonly TemplateNode[], reason: string, advice: string): Finding {
  return { at: nodes[0]?.at ?? { file: '', line: 1, column: 1 }, expression: '', reason, advice }
}
