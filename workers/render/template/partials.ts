import {
  type Environment,
  type Fragment,
  expandFile,
  expandProgram,
  namesOf,
  placeOf,
  sourceOf,
  withInlinePartials,
} from './expand.js'
import { argumentOf, hashOf } from './expression.js'
import { templateError } from './parse.js'
import type { Expression, TemplateNode } from './tree.js'

const PARTIAL_BLOCK = '@partial-block'
/** Deeper than any template people write; what goes deeper calls itself. */
const MAX_DEPTH = 50

/** `{{> name context key=value}}`: the partial's nodes in place of the call. */
export function expandPartial(statement: hbs.AST.PartialStatement, env: Environment): TemplateNode[] {
  const name = staticName(statement)
  if (name === undefined || env.inside.includes(name)) return [dynamicPartial(statement, env)]
  if (name === PARTIAL_BLOCK) return called(statement, env, expandPartialBlockBody(statement, env))
  const nodes = bodyOf(name, env)
  if (nodes === undefined) throw unknownPartial(name, statement, env)
  return called(statement, env, nodes)
}

/** `{{#> name}}…{{/name}}`: the partial, with the block for its `{{> @partial-block}}`; the block alone if there is none. */
export function expandPartialBlock(
  statement: hbs.AST.PartialBlockStatement,
  env: Environment,
): TemplateNode[] {
  const name = staticName(statement)
  if (name === undefined)
    throw templateError('a partial with a block needs a fixed name', placeOf(statement, env))
  if (env.inside.includes(name))
    throw templateError(`the partial '${name}' is inside itself`, placeOf(statement, env))
  const inner = withInlinePartials(statement.program, env)
  const nodes = bodyOf(name, { ...inner, partialBlock: { program: statement.program, env } })
  return called(statement, env, nodes ?? expandProgram(statement.program, env))
}

function expandPartialBlockBody(statement: hbs.AST.PartialStatement, env: Environment): TemplateNode[] {
  const block = env.partialBlock
  if (block === undefined)
    throw templateError(
      '{{> @partial-block}} stands in a partial that was called without a block',
      placeOf(statement, env),
    )
  return expandFragment(block, env)
}

/** A fragment's names mean what they meant where it was written; blocks opened since then lie between. */
export function expandFragment(fragment: Fragment, caller: Environment): TemplateNode[] {
  const opened = caller.parameters.length - fragment.env.parameters.length
  const hidden = Array.from({ length: Math.max(0, opened) }, () => [] as string[])
  return expandProgram(fragment.program, {
    ...fragment.env,
    parameters: [...hidden, ...fragment.env.parameters],
    inside: caller.inside,
  })
}

function bodyOf(name: string, env: Environment): TemplateNode[] | undefined {
  if (env.inside.length >= MAX_DEPTH)
    throw new RangeError(`partials are nested deeper than ${MAX_DEPTH} levels`)
  const inline = env.inline.get(name)
  if (inline !== undefined) {
    const inner: Environment = { ...env, inside: [...env.inside, name] }
    return expandFragment(inline, inner)
  }
  const file = env.parts.partials.get(name)
  if (file === undefined) return undefined
  return expandFile(file, { ...env, parameters: env.parameters.map(() => []), inside: [...env.inside, name] })
}

function called(
  statement: hbs.AST.PartialStatement | hbs.AST.PartialBlockStatement,
  env: Environment,
  body: TemplateNode[],
): TemplateNode[] {
  const { context, hash } = argumentsOf(statement, env)
  if (context === undefined && hash.length === 0) return body
  return [
    { kind: 'scope', ...(context === undefined ? {} : { context }), hash, body, at: placeOf(statement, env) },
  ]
}

function dynamicPartial(statement: hbs.AST.PartialStatement, env: Environment): TemplateNode {
  const name: Expression =
    statement.name.type === 'SubExpression'
      ? argumentOf(statement.name, namesOf(env))
      : { kind: 'literal', value: statement.name.original }
  const { context, hash } = argumentsOf(statement, env)
  return {
    kind: 'partial',
    name,
    ...(context === undefined ? {} : { context }),
    hash,
    source: sourceOf(statement, env),
    at: placeOf(statement, env),
  }
}

function argumentsOf(statement: hbs.AST.PartialStatement | hbs.AST.PartialBlockStatement, env: Environment) {
  const [param] = statement.params
  return {
    context: param === undefined ? undefined : argumentOf(param, namesOf(env)),
    hash: hashOf(statement.hash, namesOf(env)),
  }
}

function staticName(statement: hbs.AST.PartialStatement | hbs.AST.PartialBlockStatement): string | undefined {
  return statement.name.type === 'SubExpression' ? undefined : statement.name.original
}

function unknownPartial(name: string, statement: hbs.AST.Node, env: Environment) {
  const known = [...env.parts.partials.keys()].slice(0, 20).join(', ')
  return templateError(
    `there is no partial '${name}'. Known: ${known === '' ? 'none' : known}`,
    placeOf(statement, env),
  )
}
