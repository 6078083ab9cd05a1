import { expand } from './expand.js'
import { Expansion } from './expansion.js'
import type { SourceFile, TemplateFailure } from './sourceFile.js'
import { extractElement } from './subjectAndPreheader.js'
import type { SharedParts, TemplateNode } from './tree.js'

/** The trees of a template: its main source, its subject and preheader, and its text part. */
export interface TemplateTrees {
  /** The tree of the main source. The name is part of the format of built folders. */
  mjml: TemplateNode[]
  subject?: TemplateNode[]
  preheader?: TemplateNode[]
  /** The text part from `NAME.txt`. */
  text?: TemplateNode[]
  /** By key: the candidates for partials with a computed name, and the partials that call themselves. */
  partials: Record<string, TemplateNode[]>
}

/** The start tag of the element that contains the subject, and of the one that contains the preheader, as regular expressions. */
export interface HeadElements {
  subject: string
  preheader: string
}

export const MJML_ELEMENTS: HeadElements = {
  subject: '<mj-title(?:\\s[^>]*)?>',
  preheader: '<mj-preview(?:\\s[^>]*)?>',
}

/** The sources of one variant of a template. */
export interface VariantSource {
  /** The main source, whose extension names its language. Absent for a template that is only a text part. */
  main?: SourceFile
  text?: SourceFile
  parts: SharedParts
  textParts: SharedParts
}

/**
 * Parses one variant of a template in a language whose expressions are Handlebars.
 * @param elements the elements that contain the subject and the preheader
 * @param failures collects the errors of all statements; without it, the first error is thrown
 * @throws TemplateFailure with the place of the error
 */
export function parseTemplate(
  source: VariantSource,
  elements: HeadElements = MJML_ELEMENTS,
  failures?: TemplateFailure[],
): {
  trees: TemplateTrees
  files: Map<string, SourceFile>
} {
  const partials: TemplateTrees['partials'] = {}
  const expansion = new Expansion(partials, false, failures)
  const mjml = source.main === undefined ? [] : expand(source.main, source.parts, expansion)
  const { files } = expansion
  const trees: TemplateTrees = { mjml, partials }
  const subject = extractElement(mjml, elements.subject)
  const preheader = extractElement(mjml, elements.preheader)
  if (subject !== undefined) trees.subject = subject
  if (preheader !== undefined) trees.preheader = preheader
  if (source.text !== undefined) {
    const expansion = new Expansion(partials, true, failures)
    trees.text = expand(source.text, source.textParts, expansion)
    for (const [name, file] of expansion.files) files.set(name, file)
  }
  return { trees, files }
}

/** Yields every node, including nested ones. */
export function* walk(nodes: readonly TemplateNode[]): Generator<TemplateNode> {
  for (const node of nodes) {
    yield node
    if (node.kind === 'block') {
      yield* walk(node.body)
      yield* walk(node.inverse)
    } else if (node.kind === 'scope' || node.kind === 'anchor' || node.kind === 'anchored')
      yield* walk(node.body)
    else if (node.kind === 'attribute') yield* walk(node.value)
  }
}
