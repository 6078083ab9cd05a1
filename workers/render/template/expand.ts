import { expressionOf } from './expression.js'
import { expandBlock } from './expandBlock.js'
import { takeHeads } from './heads.js'
import { splitIncludes } from './includes.js'
import { expandPartial, expandPartialBlock } from './partials.js'
import { parse, templateError } from './parse.js'
import type { SharedParts } from './sharedParts.js'
import { type SourceFile, placeAt } from './source.js'
import type { Place, TemplateNode } from './tree.js'

/** A program of Handlebars' tree with all that its names mean: what an inline partial or a block content keeps. */
export interface Fragment {
  program: hbs.AST.Program
  env: Environment
}

/** What is in reach where a node stands. */
export interface Environment {
  file: SourceFile
  parts: SharedParts
  /** Every file that took part, by name. */
  files: Map<string, SourceFile>
  /** Block parameters, innermost block first; a partial sees none of its caller's. */
  parameters: readonly (readonly string[])[]
  inline: ReadonlyMap<string, Fragment>
  /** What `{{> @partial-block}}` stands for here. */
  partialBlock?: Fragment
  /** What `{{#content}}` gave for the blocks of a layout. */
  contents: ReadonlyMap<string, readonly BlockContent[]>
  /** Names of the partials and layouts this is inside of. */
  inside: readonly string[]
  /** Nodes that are head children of included documents: MJML appends them to the head. */
  heads: Set<TemplateNode>
}

export interface BlockContent extends Fragment {
  mode: 'replace' | 'append' | 'prepend'
}

/** A source and every shared part it uses, as one tree. @throws TemplateFailure with the place of what is wrong. */
export function expand(
  file: SourceFile,
  parts: SharedParts,
): { nodes: TemplateNode[]; files: Map<string, SourceFile> } {
  const files = new Map<string, SourceFile>()
  const env: Environment = {
    file,
    parts,
    files,
    parameters: [],
    inline: new Map(),
    contents: new Map(),
    inside: [],
    heads: new Set(),
  }
  const { rest, head } = takeHeads(expandFile(file, env), env.heads)
  return { nodes: withHeadTail(rest, head), files }
}

export function expandFile(file: SourceFile, env: Environment): TemplateNode[] {
  env.files.set(file.name, file)
  return expandProgram(parse(file), { ...env, file })
}

/** Inline partials count in the whole program they are written in, wherever they stand in it. */
export function expandProgram(program: hbs.AST.Program | undefined, outer: Environment): TemplateNode[] {
  if (program === undefined) return []
  const env = withInlinePartials(program, outer)
  return program.body.flatMap((statement) => expandStatement(statement, env))
}

export function withInlinePartials(program: hbs.AST.Program, outer: Environment): Environment {
  const decorators = program.body.filter(({ type }) => type === 'DecoratorBlock') as hbs.AST.DecoratorBlock[]
  if (decorators.length === 0) return outer
  const inline = new Map(outer.inline)
  const env = { ...outer, inline }
  for (const decorator of decorators) {
    const [name] = decorator.params
    if (decorator.path.original !== 'inline' || name?.type !== 'StringLiteral')
      throw templateError(`only {{#*inline "name"}} is known`, placeOf(decorator, env))
    inline.set((name as hbs.AST.StringLiteral).value, { program: decorator.program, env })
  }
  return env
}

function expandStatement(statement: hbs.AST.Statement, env: Environment): TemplateNode[] {
  switch (statement.type) {
    case 'ContentStatement':
      return expandContent(statement as hbs.AST.ContentStatement, env)
    case 'MustacheStatement':
      return expandMustache(statement as hbs.AST.MustacheStatement, env)
    case 'BlockStatement':
      return expandBlock(statement as hbs.AST.BlockStatement, env)
    case 'PartialStatement':
      return expandPartial(statement as hbs.AST.PartialStatement, env)
    case 'PartialBlockStatement':
      return expandPartialBlock(statement as hbs.AST.PartialBlockStatement, env)
    case 'CommentStatement':
    case 'DecoratorBlock':
      return []
    default:
      throw templateError(`${statement.type} is not known`, placeOf(statement, env))
  }
}

function expandContent(statement: hbs.AST.ContentStatement, env: Environment): TemplateNode[] {
  if (statement.value === '') return []
  const original = statement.original as unknown as string
  const at = placeOf(statement, env)
  const lost = Math.max(0, original.indexOf(statement.value))
  return splitIncludes(statement.value, at, lost === 0 ? '' : original.slice(0, lost), env)
}

function expandMustache(statement: hbs.AST.MustacheStatement, env: Environment): TemplateNode[] {
  const at = placeOf(statement, env)
  return [
    {
      kind: 'value',
      expression: expressionOf(statement, namesOf(env)),
      raw: !statement.escaped,
      source: sourceOf(statement, env),
      at,
    },
  ]
}

/** Where the head of the document ends, the heads of included documents follow. */
function withHeadTail(nodes: TemplateNode[], tail: TemplateNode[]): TemplateNode[] {
  if (tail.length === 0) return nodes
  for (const [index, node] of nodes.entries()) {
    if (node.kind !== 'text') continue
    const end = node.text.indexOf('</mj-head>')
    if (end < 0) continue
    const before = { ...node, text: node.text.slice(0, end) }
    const after = { ...node, text: node.text.slice(end) }
    return [...nodes.slice(0, index), before, ...tail, after, ...nodes.slice(index + 1)]
  }
  return withNewHead(nodes, tail)
}

function withNewHead(nodes: TemplateNode[], tail: TemplateNode[]): TemplateNode[] {
  for (const [index, node] of nodes.entries()) {
    if (node.kind !== 'text') continue
    const start = node.text.indexOf('<mj-body')
    if (start < 0) continue
    const open = { ...node, text: `${node.text.slice(0, start)}<mj-head>` }
    const close = { ...node, text: `</mj-head>${node.text.slice(start)}` }
    return [...nodes.slice(0, index), open, ...tail, close, ...nodes.slice(index + 1)]
  }
  return nodes
}

export function namesOf(env: Environment) {
  return {
    helpers: env.parts.helpers,
    parameters: env.parameters,
    place: (node: hbs.AST.Node): Place => placeOf(node, env),
  }
}

export function placeOf(node: hbs.AST.Node, env: Environment): Place {
  return placeAt(env.file, node.loc.start.line, node.loc.start.column + 1)
}

/** The expression as its author wrote it. */
export function sourceOf(node: hbs.AST.Node, env: Environment): string {
  const { start, end } = node.loc
  const lines = env.file.text.split('\n').slice(start.line - 1, end.line)
  if (lines.length === 0) return ''
  lines[lines.length - 1] = lines.at(-1)?.slice(0, end.column) ?? ''
  lines[0] = lines[0]?.slice(start.column) ?? ''
  return (lines.join(' ').match(/^\{\{.*?\}\}+/)?.[0] ?? lines.join(' ')).slice(0, 200)
}
