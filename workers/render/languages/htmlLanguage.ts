import { whileLoading } from '../../heartbeat.js'
import { annotateFragment } from '../analysis/annotate.js'
import type { BlockStructure } from '../analysis/structure.js'
import { collectNeeds } from '../manifest/needs.js'
import { type Mjml, orTooDeep } from '../mjml.js'
import { PerMessageTemplate } from '../perMessageTemplate.js'
import { assemble, htmlAdapter } from '../precompiled/assemble.js'
import { assembleText } from '../precompiled/assembleText.js'
import { CompileBudget } from '../precompiled/compileBudget.js'
import { callsCustomBlock, type CompileOptions, withoutText } from '../precompiled/compileTemplate.js'
import type { CompiledTemplate, Finding, PrecompiledForm } from '../precompiled/compiledTemplate.js'
import { insertPlaceholders, ROOT } from '../precompiled/placeholders.js'
import { verifyPrecompiled } from '../precompiled/verifyPrecompiled.js'
import { Template } from '../template.js'
import { type HeadElements, parseTemplate, type VariantSource, walk } from '../template/parseTemplate.js'
import { nestedTooDeeply, type TemplateFailure } from '../template/sourceFile.js'
import type { BlockNode, Place, TemplateNode } from '../template/tree.js'
import { bindSample, type CheckResult, collect, withFailures } from '../templateCheck.js'
import { loadHtmlToText } from '../text/htmlToText.js'
import { loadLimitNesting } from '../text/limitNesting.js'
import type { TemplateLanguage } from './language.js'

const HTML_ELEMENTS: HeadElements = {
  subject: '<title(?:\\s[^>]*)?>',
  preheader: '<(?:div|span|p)\\s[^>]*?class="[^">]*?\\bpreheader\\b[^>]*>',
}

/**
 * Handlebars in HTML. The result is the same as binding the data first and inlining the CSS of `<style>` then. The inliner
 * runs once per version of a template, unless an expression decides which rules match.
 */
export const htmlLanguage: TemplateLanguage = {
  name: 'html',
  extensions: ['.html'],
  declare: (source) => {
    const { trees, files } = parseTemplate(source, HTML_ELEMENTS)
    const html = annotateFragment(trees.mjml, files)
    return {
      hasSubject: trees.subject !== undefined,
      needs: collectNeeds([...html, ...(trees.text ?? [])]),
    }
  },
  compile: compileHtml,
  open: (compiled, helpers) => Template.of(compiled, helpers, loadCssInliner),
  async check(source, helpers, sample) {
    const failures: TemplateFailure[] = []
    const result: CheckResult = { errors: [], warnings: [] }
    const trees = collect(failures, () => parse(source, failures))
    if (trees === undefined) return withFailures(result, failures)
    for (const node of walk(trees.mjml))
      if (node.kind === 'text' && /<mjml\b/i.test(node.text))
        result.errors.push(`${node.at.file}: it contains MJML; rename it to .mjml`)
    if (failures.length === 0 && sample !== undefined)
      bindSample(new PerMessageTemplate(trees, helpers, loadCssInliner), sample, result)
    return withFailures(result, failures)
  },
}

/** Parses a source and turns its attribute values into nodes. */
function parse(source: VariantSource, failures?: TemplateFailure[]) {
  const { trees, files } = parseTemplate(source, HTML_ELEMENTS, failures)
  trees.mjml = annotateFragment(trees.mjml, files)
  for (const [name, nodes] of Object.entries(trees.partials))
    trees.partials[name] = annotateFragment(nodes, files)
  return trees
}

async function compileHtml(
  source: VariantSource,
  { critical: enter, customHelpers, compileLimit = Infinity }: CompileOptions,
): Promise<CompiledTemplate> {
  const budget = new CompileBudget(enter, compileLimit)
  const { critical } = budget
  const inline = await loadCssInliner()
  const toText = await loadHtmlToText()
  const trees = critical('compile', () => parse(source))
  const nodes = trees.mjml
  const compiled: CompiledTemplate = { language: 'html', trees, findings: [], warnings: [] }
  const obstacle = findObstacle(nodes)
  if (obstacle !== undefined) return { ...compiled, findings: [obstacle] }

  const placeholders = critical('compile', () => insertPlaceholders(nodes, new Map()))
  const { html } = await critical('compile', () => inline(placeholders.source))
  const result = critical('compile', (): PrecompiledForm | Finding => {
    const assembled = assemble(html, placeholders, htmlAdapter(html, placeholders))
    if ('reason' in assembled) return findingAt(assembled.node, nodes, assembled.reason)
    const dropped = assembled.dropped.find(({ node, branch }) => branch !== ROOT || node.kind === 'block')
    if (dropped !== undefined) return findingAt(dropped.node, nodes, 'the CSS inliner drops it at this place')
    const text = callsCustomBlock(nodes, customHelpers) ? undefined : assembleText(html, placeholders, toText)
    return {
      html: assembled.nodes,
      unseen: assembled.unseen,
      suspect: '(?!)',
      // Rules apply to the tags in a raw value, and in the output of a helper, too.
      readsDocument: nodes.some((node) => node.kind === 'text' && /<style/i.test(node.text)),
      ...(text === undefined ? {} : { text }),
    }
  })
  if ('reason' in result) return { ...compiled, findings: [result] }
  const form = trees.text === undefined ? result : withoutText(result)
  const mismatch = await verifyPrecompiled(nodes, form, blocksOf(nodes), budget, loadCssInliner)
  if (mismatch === undefined) return { ...compiled, late: form }
  return { ...compiled, findings: [withoutMjml(mismatch)] }
}

/** All blocks are tried: each may decide which elements a rule matches. */
function blocksOf(nodes: readonly TemplateNode[]): Map<BlockNode, BlockStructure> {
  const blocks = new Map<BlockNode, BlockStructure>()
  for (const node of outsideAttributes(nodes))
    if (node.kind === 'block')
      blocks.set(node, { position: { at: 'between', component: '' }, balanced: true, around: 'the document' })
  return blocks
}

/** Yields every node, but none inside an attribute value. */
function* outsideAttributes(nodes: readonly TemplateNode[]): Generator<TemplateNode> {
  for (const node of nodes) {
    yield node
    if (node.kind === 'block') {
      yield* outsideAttributes(node.body)
      yield* outsideAttributes(node.inverse)
    } else if (node.kind === 'scope') yield* outsideAttributes(node.body)
  }
}

/** Selectors whose match depends on the value of an attribute or on the content of an element. */
const READS_VALUES = /\[[^\]{}]*\][^{}]*\{|:(?:empty|contains|has)\b/

/** Returns why the CSS can't be inlined before the data is known, if a rule says so; the trials find the rest. */
function findObstacle(nodes: readonly TemplateNode[]): Finding | undefined {
  let inStyle = false
  let css = ''
  let attribute: TemplateNode | undefined
  for (const node of outsideAttributes(nodes)) {
    if (node.kind === 'text') {
      for (const [, close, rest = ''] of node.text.matchAll(/<(\/?)style\b[^>]*>?([^<]*)/gi)) {
        inStyle = close === ''
        if (inStyle) css += rest
      }
      continue
    }
    if (inStyle) return findingAt(node, nodes, 'it is inside <style>', 'use a style attribute for it')
    if (node.kind === 'partial')
      return findingAt(node, nodes, 'the name of the partial is computed', 'call a partial by a fixed name')
    if (node.kind === 'value' && node.inside === 'tag')
      return findingAt(node, nodes, 'it is inside a tag, outside an attribute value', 'quote the value')
    if (node.kind !== 'attribute') continue
    if (/^(?:class|id)$/i.test(node.name))
      return findingAt(
        node,
        nodes,
        'it decides which CSS rules match',
        'choose between two elements with {{#if}}, each with a fixed class',
      )
    attribute ??= node
  }
  if (attribute === undefined || !READS_VALUES.test(css)) return undefined
  return findingAt(attribute, nodes, 'a CSS selector reads attributes or content', 'select by class')
}

function findingAt(
  node: TemplateNode | undefined,
  nodes: readonly TemplateNode[],
  reason: string,
  advice = 'keep the expression inside the text of an element',
): Finding {
  const at: Place = node?.at ?? nodes[0]?.at ?? { file: '', line: 1, column: 1 }
  const expression =
    node === undefined || node.kind === 'text'
      ? ''
      : node.kind === 'attribute'
        ? node.name
        : 'source' in node
          ? node.source
          : ''
  return withoutMjml({ at, expression, reason, advice })
}

function withoutMjml(finding: Finding): Finding {
  return { ...finding, reason: finding.reason.replaceAll('MJML', 'the CSS inliner') }
}

let inliner: Promise<Mjml> | undefined

/**
 * Loads juice. It copies the rules of each `<style>` into the `style` attributes of the elements that they match. Media queries,
 * fonts, key frames, and pseudo-classes such as `:hover` stay in the head. It fetches nothing.
 */
function loadCssInliner(): Promise<Mjml> {
  inliner ??= Promise.all([whileLoading(() => import('../cssPackages.js')), loadLimitNesting()]).then(
    ([{ juice }, limitNesting]) => {
      const options = {
        removeStyleTags: true,
        preserveMediaQueries: true,
        preserveFontFaces: true,
        preserveKeyFrames: true,
        preservePseudos: true,
        inlinePseudoElements: false,
      }
      return (source) =>
        orTooDeep(() => {
          // Its parser searches the open elements for each tag.
          if (limitNesting(source) !== source) throw nestedTooDeeply()
          return { html: juice(source, options), warnings: [] }
        })
    },
  )
  return inliner
}
