import { expand } from './expand.js'
import { Expansion } from './expansion.js'
import type { SourceFile, TemplateFailure } from './sourceFile.js'
import { extractElement } from './subjectAndPreheader.js'
import type { SharedParts, TemplateNode } from './tree.js'

/** The trees of a template: its MJML, its subject and preheader, and its text part. */
export interface TemplateTrees {
  mjml: TemplateNode[]
  subject?: TemplateNode[]
  preheader?: TemplateNode[]
  /** The text part from `NAME.txt`. */
  text?: TemplateNode[]
  /** By key: the candidates for partials with a computed name, and the partials that call themselves. */
  partials: Record<string, TemplateNode[]>
}

/** The sources of one variant of a template. */
export interface VariantSource {
  /** Absent for a template that is only a text part. */
  mjml?: SourceFile
  text?: SourceFile
  parts: SharedParts
  textParts: SharedParts
}

/**
 * Parses one variant of a template.
 * @param failures collects the errors of all statements; without it, the first error is thrown
 * @throws TemplateFailure with the place of the error
 */
export function parseTemplate(
  source: VariantSource,
  failures?: TemplateFailure[],
): {
  trees: TemplateTrees
  files: Map<string, SourceFile>
} {
  const partials: TemplateTrees['partials'] = {}
  const expansion = new Expansion(partials, false, failures)
  const mjml = source.mjml === undefined ? [] : expand(source.mjml, source.parts, expansion)
  const { files } = expansion
  const trees: TemplateTrees = { mjml, partials }
  const subject = extractElement(mjml, 'mj-title')
  const preheader = extractElement(mjml, 'mj-preview')
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
