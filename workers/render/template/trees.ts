import { type Environment, expand, expandFile } from './expand.js'
import { takeHeads } from './heads.js'
import { projectElement } from './project.js'
import type { SharedParts } from './sharedParts.js'
import type { SourceFile } from './source.js'
import type { TemplateNode } from './tree.js'

/** All that a template says, as trees: what is bound into MJML, and what becomes header and text. */
export interface TemplateTrees {
  mjml: TemplateNode[]
  subject?: TemplateNode[]
  preheader?: TemplateNode[]
  /** Of `NAME.txt`. */
  text?: TemplateNode[]
  /** Partials that are called by a computed name, or by themselves. */
  partials: Record<string, TemplateNode[]>
}

export interface TemplateSource {
  mjml: SourceFile
  text?: SourceFile
  parts: SharedParts
  textParts: SharedParts
}

/** @throws TemplateFailure with the place of what is wrong. */
export function growTrees(source: TemplateSource): { trees: TemplateTrees; files: Map<string, SourceFile> } {
  const { nodes: mjml, files } = expand(source.mjml, source.parts)
  const trees: TemplateTrees = { mjml, partials: {} }
  const subject = projectElement(mjml, 'mj-title')
  const preheader = projectElement(mjml, 'mj-preview')
  if (subject !== undefined) trees.subject = subject
  if (preheader !== undefined) trees.preheader = preheader
  if (source.text !== undefined) {
    const text = expand(source.text, source.textParts)
    trees.text = text.nodes
    for (const [name, file] of text.files) files.set(name, file)
  }
  if (hasDynamicPartial(mjml) || (trees.text !== undefined && hasDynamicPartial(trees.text)))
    for (const [name, file] of source.parts.partials)
      trees.partials[name] = alone(file, name, source.parts, files)
  return { trees, files }
}

/** A partial by itself: calls of itself inside it stay calls. */
function alone(
  file: SourceFile,
  name: string,
  parts: SharedParts,
  files: Map<string, SourceFile>,
): TemplateNode[] {
  const env: Environment = {
    file,
    parts,
    files,
    parameters: [],
    inline: new Map(),
    contents: new Map(),
    inside: [name],
    heads: new Set(),
  }
  return takeHeads(expandFile(file, env), env.heads).rest
}

/** Every node, those inside others too. */
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

function hasDynamicPartial(nodes: readonly TemplateNode[]): boolean {
  for (const node of walk(nodes)) if (node.kind === 'partial') return true
  return false
}
