import { expandProgram, withPrograms } from './expand.js'
import { type Environment, namesOf, placeOf, sourceOf } from './expansion.js'
import { argumentOf, callOf, expressionOf, hashOf, isPartialBlock } from './expression.js'
import { expandLayoutBlock } from './layouts.js'
import { templateError } from './parse.js'
import type { BlockNode, BlockType, TemplateNode } from './tree.js'

const BUILT_IN = new Set<string>(['if', 'unless', 'each', 'with'])
/** Helpers that return a boolean. As a block, they are conditions. */
const CONDITION_HELPERS = new Set(['eq', 'ne', 'and', 'or', 'not'])
const LAYOUT = new Set(['extend', 'content', 'block'])

/** Expands a block `{{#…}}` of any kind. */
export function expandBlock(statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const name = statement.path.original
  const custom = env.parts.customHelpers.has(name)
  if (!custom && LAYOUT.has(name) && statement.params[0]?.type === 'StringLiteral')
    return expandLayoutBlock(statement, env)
  if (!custom && BUILT_IN.has(name)) return builtIn(statement, name as BlockType, env)
  if (!custom && name === 'raw' && statement.params.length === 0)
    return withPrograms(statement, [statement.program], env, (around) =>
      expandProgram(statement.program, env, around),
    )

  const names = namesOf(env)
  const call = callOf(statement, names)
  if (call === undefined)
    return block(statement, { type: 'section', subject: expressionOf(statement, names) }, env)
  return block(
    statement,
    { type: CONDITION_HELPERS.has(name) && !custom ? 'if' : 'call', subject: call },
    env,
  )
}

function builtIn(statement: hbs.AST.BlockStatement, type: BlockType, env: Environment): TemplateNode[] {
  const [subject] = statement.params
  if (subject === undefined || statement.params.length > 1)
    throw templateError(`{{#${type}}} takes exactly one argument`, placeOf(statement, env))
  if ((type === 'if' || type === 'unless') && isPartialBlock(subject))
    return expandPartialBlockTest(statement, type, env)
  const names = namesOf(env)
  const includeZero = hashOf(statement.hash, names).find(([name]) => name === 'includeZero')?.[1]
  const fields = { type, subject: argumentOf(subject, names) }
  return block(statement, includeZero === undefined ? fields : { ...fields, includeZero }, env)
}

/** `{{#if @partial-block}}` is decided here, because the template shows whether the partial was called with a block. */
function expandPartialBlockTest(
  statement: hbs.AST.BlockStatement,
  type: BlockType,
  env: Environment,
): TemplateNode[] {
  const hasBlock = env.partialBlock !== undefined
  const chosen = hasBlock === (type === 'if') ? statement.program : statement.inverse
  return withPrograms(statement, [chosen], env, (around) => expandProgram(chosen, env, around))
}

function block(
  statement: hbs.AST.BlockStatement,
  fields: Pick<BlockNode, 'type' | 'subject' | 'includeZero'>,
  env: Environment,
): TemplateNode[] {
  const program = statement.program as hbs.AST.Program | undefined
  const inverse = statement.inverse as hbs.AST.Program | undefined
  const { expansion } = env
  const { numbers, names } = expansion.parametersOf(program)
  const isCondition = fields.type === 'if' || fields.type === 'unless'
  if ((isCondition && numbers.length > 0) || expansion.parametersOf(inverse).numbers.length > 0)
    throw templateError(
      `this block can't have parameters, because it has no values for them`,
      placeOf(statement, env),
    )
  const inBody: Environment =
    numbers.length === 0 ? env : { ...env, parameters: new Map([...env.parameters, ...names]) }
  return withPrograms(statement, [program, inverse], env, (around) => [
    {
      kind: 'block',
      ...fields,
      body: expandProgram(program, inBody, around),
      inverse: expandProgram(inverse, env, around),
      hasInverse: inverse !== undefined,
      parameters: numbers,
      source: sourceOf(statement, env),
      at: placeOf(statement, env),
    },
  ])
}
