import { expandBlock } from './expandBlock.js'
import {
  type Environment,
  type Expansion,
  type Fragment,
  MAX_CHARACTERS,
  MAX_STATEMENTS,
  namesOf,
  placeOf,
  sourceOf,
} from './expansion.js'
import { expressionOf, isPartialBlock } from './expression.js'
import { splitIncludes, extractHeads } from './includes.js'
import { templateError } from './parse.js'
import { expandPartial, expandPartialBlock } from './partials.js'
import { simplifyScope } from './scopeNodes.js'
import { type SourceFile, TemplateFailure } from './sourceFile.js'
import type { Reach, SharedParts, TemplateNode } from './tree.js'

/** Expands a source and every shared part it uses into one tree. @throws TemplateFailure with the place of the error */
export function expand(file: SourceFile, parts: SharedParts, expansion: Expansion): TemplateNode[] {
  const env: Environment = {
    file,
    parts,
    expansion,
    parameters: new Map(),
    home: expansion.numberOf(file),
    inline: new Map(),
    partialBlock: undefined,
    contents: new Map(),
    inside: [],
    isCandidate: false,
  }
  const { rest, head } = extractHeads(expandFile(file, env), expansion.heads)
  return withHeadTail(rest, head)
}

/** Returns the nodes of a file that counts as part of the file around it. */
export function expandFile(file: SourceFile, env: Environment): TemplateNode[] {
  return expandProgram(env.expansion.parse(file), { ...env, file }, 'file')
}

/**
 * Returns the nodes of a partial or layout. The caller's block parameters are not in scope.
 * @param visible the inline partials in scope besides its own
 */
export function expandSharedFile(
  file: SourceFile,
  env: Environment,
  visible: ReadonlyMap<string, Fragment> = inlinePartialsOf(env),
): TemplateNode[] {
  const home = env.expansion.numberOf(file)
  const inline = new Map(env.inline).set(home, visible)
  return expandFile(file, { ...env, parameters: new Map(), home, inline })
}

/**
 * Returns the nodes of a fragment. Its names resolve where it was written, except that inline partials resolve as in its
 * file at the time of the call.
 */
export function expandFragment(
  { program, env, reach }: Fragment,
  { inline, isCandidate }: Environment,
  overrides: Partial<Environment> = {},
): TemplateNode[] {
  return expandProgram(program, { ...env, inline, isCandidate, ...overrides }, reach)
}

/**
 * Returns the nodes of a program. Inline partials apply to the whole program that contains them, even before their
 * definition.
 * @param around the scope around the program, which its inline partials reach with `../`
 */
export function expandProgram(
  program: hbs.AST.Program | undefined,
  outer: Environment,
  around: Reach,
): TemplateNode[] {
  if (program === undefined) return []
  const env = withInlinePartials(program, outer, around)
  return program.body.flatMap((statement) => orCollect(env, () => expandStatement(statement, env)))
}

/** Returns the nodes. If the expansion collects errors, a statement with an error has none. A candidate's error counts only if it is called. */
function orCollect({ expansion, isCandidate }: Environment, work: () => TemplateNode[]): TemplateNode[] {
  if (expansion.failures === undefined || isCandidate) return work()
  try {
    return work()
  } catch (error) {
    if (!(error instanceof TemplateFailure) || expansion.isTooLarge) throw error
    expansion.failures.push(error)
    return []
  }
}

export function withInlinePartials(program: hbs.AST.Program, outer: Environment, around: Reach): Environment {
  if (!definesPartials(program)) return outer
  const own = new Map(inlinePartialsOf(outer))
  const env = { ...outer, inline: new Map(outer.inline).set(outer.home, own) }
  for (const statement of program.body) {
    if (statement.type !== 'DecoratorBlock') continue
    const decorator = statement as hbs.AST.DecoratorBlock
    const [name] = decorator.params
    if (decorator.path.original !== 'inline' || name?.type !== 'StringLiteral')
      throw templateError(`unknown decorator: only {{#*inline "name"}} is supported`, placeOf(decorator, env))
    own.set((name as hbs.AST.StringLiteral).value, { program: decorator.program, env, reach: around })
  }
  return env
}

/** Returns the inline partials that can be called here. */
export function inlinePartialsOf({ inline, home }: Environment): ReadonlyMap<string, Fragment> {
  return inline.get(home) ?? new Map()
}

function definesPartials(program: hbs.AST.Program | undefined): boolean {
  return program?.body.some(({ type }) => type === 'DecoratorBlock') ?? false
}

/** Returns the nodes of the programs of a statement. If these define inline partials, the scope of the statement is kept for them. */
export function withPrograms(
  statement: hbs.AST.Statement,
  programs: readonly (hbs.AST.Program | undefined)[],
  env: Environment,
  expand: (around: Reach) => TemplateNode[],
): TemplateNode[] {
  if (!programs.some(definesPartials)) return expand('here')
  const keep = env.expansion.numberOf(statement)
  return simplifyScope({
    kind: 'scope',
    hash: [],
    reach: 'here',
    keep,
    body: expand(keep),
    at: placeOf(statement, env),
  })
}

function expandStatement(statement: hbs.AST.Statement, env: Environment): TemplateNode[] {
  countStatement(statement, env)
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
      throw templateError(`${statement.type} is not supported`, placeOf(statement, env))
  }
}

/** @throws TemplateFailure if the template, with its partials in place of their calls, is too large to compile */
function countStatement(statement: hbs.AST.Statement, env: Environment): void {
  const characters =
    statement.type === 'ContentStatement' ? (statement as hbs.AST.ContentStatement).value.length : 0
  if (env.expansion.count(characters)) return
  throw templateError(
    `the template is too large with its partials: more than ${MAX_STATEMENTS} statements or ${MAX_CHARACTERS} characters. Call partials less often`,
    placeOf(statement, env),
  )
}

function expandContent(statement: hbs.AST.ContentStatement, env: Environment): TemplateNode[] {
  if (statement.value === '') return []
  const original = statement.original as unknown as string
  const at = placeOf(statement, env)
  const stripped = Math.max(0, original.indexOf(statement.value))
  return splitIncludes(statement.value, at, stripped === 0 ? '' : original.slice(0, stripped), env)
}

function expandMustache(statement: hbs.AST.MustacheStatement, env: Environment): TemplateNode[] {
  const at = placeOf(statement, env)
  if (isPartialBlock(statement.path))
    throw templateError('call a partial block with {{> @partial-block}}', at)
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

/** Appends the heads of included documents to the end of the document's head. */
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
