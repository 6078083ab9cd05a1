import { annotate, annotateFragment } from '../analysis/annotate.js'
import { applyRules, findInlineStyles, rewritesBody } from '../analysis/rules.js'
import type { Annotations } from '../analysis/structure.js'
import { loadMjml } from '../mjml.js'
import type { CriticalSection } from '../renderer.js'
import { MJML_ELEMENTS, parseTemplate, type VariantSource, walk } from '../template/parseTemplate.js'
import { describePlace } from '../template/sourceFile.js'
import type { TemplateNode } from '../template/tree.js'
import { loadHtmlToText } from '../text/htmlToText.js'
import { assemble, type AssemblyFailure, htmlAdapter } from './assemble.js'
import { assembleText } from './assembleText.js'
import { CompileBudget } from './compileBudget.js'
import type { CompiledTemplate, Finding, PrecompiledForm } from './compiledTemplate.js'
import { insertPlaceholders, type PlaceholderTarget, type Placeholders, ROOT } from './placeholders.js'
import { unlinkedFontPattern } from './valueChecks.js'
import { verifyPrecompiled } from './verifyPrecompiled.js'

/** MJML's default fonts. A template adds its own with `mj-font`. */
const FONTS = ['Open Sans', 'Droid Sans', 'Lato', 'Roboto', 'Ubuntu']

/** The form of a template that is only a text part. */
const NO_HTML: PrecompiledForm = { html: [], unseen: [], suspect: '(?!)', readsDocument: false }

/** Options of the compiler besides the source. */
export interface CompileOptions {
  critical: CriticalSection
  /** Names of helpers that may return HTML. */
  customHelpers: ReadonlySet<string>
  /** Milliseconds that compiling may take. @default no limit */
  compileLimit?: number | undefined
}

/** Parses a source and annotates its trees, including the partials that are called by a computed name. */
function parseAndAnnotate(source: VariantSource) {
  const { trees, files } = parseTemplate(source, MJML_ELEMENTS)
  const annotations = annotate(trees.mjml, files)
  trees.mjml = annotations.nodes
  for (const [name, nodes] of Object.entries(trees.partials))
    trees.partials[name] = annotateFragment(nodes, files)
  return { trees, annotations }
}

/** Compiles a template that runs MJML for each message, for a source not worth precompiling. @throws TemplateFailure */
export function compileWithoutMjml(source: VariantSource, critical: CriticalSection): CompiledTemplate {
  return critical('compile', () => {
    const { trees, annotations } = parseAndAnnotate(source)
    return { trees, findings: [], warnings: droppedText(annotations) }
  })
}

/** Compiles a template with MJML once and verifies the result against rendering per message. @throws TemplateFailure */
export async function compileTemplate(
  source: VariantSource,
  options: CompileOptions,
): Promise<CompiledTemplate> {
  const budget = new CompileBudget(options.critical, options.compileLimit ?? Infinity)
  const { critical } = budget
  if (source.main === undefined)
    return critical('compile', () => ({
      trees: parseTemplate(source, MJML_ELEMENTS).trees,
      late: NO_HTML,
      findings: [],
      warnings: [],
    }))
  const { trees, annotations, placeholders, findings } = critical('compile', () => {
    const { trees, annotations } = parseAndAnnotate(source)
    const findings = applyRules(annotations, findInlineStyles(trees.mjml))
    if (rewritesBody(trees.mjml)) findings.push(rewrittenBody(trees.mjml))
    const placeholders =
      findings.length === 0 ? insertPlaceholders(trees.mjml, annotations.blocks) : undefined
    return { trees, annotations, placeholders, findings }
  })
  const compiled: CompiledTemplate = { trees, findings, warnings: droppedText(annotations) }
  if (placeholders === undefined) return compiled

  const result = await precompile(trees.mjml, placeholders, { ...options, critical })
  if ('finding' in result) return { ...compiled, findings: [result.finding] }
  const form = trees.text === undefined ? result.form : withoutText(result.form)
  const mismatch = await verifyPrecompiled(trees.mjml, form, annotations.blocks, budget)
  if (mismatch !== undefined) return { ...compiled, findings: [mismatch] }
  return { ...compiled, late: form, warnings: [...compiled.warnings, ...result.warnings] }
}

const rewrittenBody = (nodes: readonly TemplateNode[]): Finding =>
  wholeTemplate(nodes, 'mj-html-attributes changes the finished body', 'write the attributes in the content')

function droppedText({ dropped }: Annotations): string[] {
  return dropped.map((at) => `${describePlace(at)}: MJML drops text between components`)
}

interface Precompilation {
  form: PrecompiledForm
  warnings: string[]
}

async function precompile(
  nodes: readonly TemplateNode[],
  placeholders: Placeholders,
  { critical, customHelpers }: CompileOptions,
): Promise<Precompilation | { finding: Finding }> {
  const mjml = await loadMjml()
  const toText = await loadHtmlToText()
  const running = critical('compile', () => mjml(placeholders.source))
  const output = await running.catch((error: unknown) => error as Error)
  // MJML may fail because of the placeholders. If it fails because of the template, rendering per message reports it.
  if (output instanceof Error)
    return {
      finding: wholeTemplate(
        nodes,
        `MJML fails: ${withExpressions(output.message, placeholders)}`,
        'fix the problem that MJML reports',
      ),
    }
  const { html, warnings } = output
  return critical('compile', () => {
    const styles = findInlineStyles(nodes)
    const assembled = assemble(html, placeholders, htmlAdapter(html, placeholders))
    if ('reason' in assembled) return { finding: failureFinding(nodes, assembled) }
    const dropped = assembled.dropped.find(({ node, branch }) => branch !== ROOT || node.kind === 'block')
    if (dropped !== undefined) return { finding: droppedFinding(dropped.node) }
    const form: PrecompiledForm = {
      html: assembled.nodes,
      unseen: assembled.unseen,
      suspect: unlinkedFontPattern(html, [...FONTS, ...ownFonts(nodes)]).source,
      readsDocument: styles !== undefined,
    }
    const text = callsCustomBlock(nodes, customHelpers) ? undefined : assembleText(html, placeholders, toText)
    if (text !== undefined) form.text = text
    return {
      form,
      // The values of expressions are not known yet, so a complaint about one would be a false alarm.
      warnings: warnings
        .filter(({ message }) => message.search(placeholders.pattern) < 0)
        .map(({ line, tag, message }) => `${tag}, line ${line} of the expanded source: ${message}`),
    }
  })
}

/** Replaces the placeholders in a message of MJML with the expressions that they stand for. */
function withExpressions(message: string, { pattern, targets }: Placeholders): string {
  return message.replace(pattern, (_, number: string) => {
    const target = targets[Number(number)]
    return target === undefined ? '' : expressionOf(target.node)
  })
}

/** A custom block helper needs HTML, so the text part can't be bound on its own. */
export function callsCustomBlock(
  nodes: readonly TemplateNode[],
  customHelpers: ReadonlySet<string>,
): boolean {
  for (const node of walk(nodes))
    if (node.kind === 'block' && node.type === 'call' && node.subject.kind === 'call')
      if (customHelpers.has(node.subject.helper)) return true
  return false
}

export function withoutText({ text: _text, ...form }: PrecompiledForm): PrecompiledForm {
  return form
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

function droppedFinding(node: PlaceholderTarget['node']): Finding {
  return {
    at: node.at,
    expression: expressionOf(node),
    reason: 'MJML drops it at this place',
    advice: 'remove it, or move it to a place where MJML outputs it',
  }
}

function expressionOf(node: PlaceholderTarget['node']): string {
  return node.kind === 'attribute' ? node.name : node.source
}

function failureFinding(nodes: readonly TemplateNode[], failure: AssemblyFailure): Finding {
  if (failure.node === undefined)
    return wholeTemplate(
      nodes,
      failure.reason,
      'keep expressions out of attributes that MJML uses in computations',
    )
  return {
    at: failure.node.at,
    expression: expressionOf(failure.node),
    reason: failure.reason,
    advice:
      failure.node.kind === 'block'
        ? 'put the block inside the content of a component'
        : 'keep the expression inside the content of a component',
  }
}

function wholeTemplate(nodes: readonly TemplateNode[], reason: string, advice: string): Finding {
  return { at: nodes[0]?.at ?? { file: '', line: 1, column: 1 }, expression: '', reason, advice }
}
