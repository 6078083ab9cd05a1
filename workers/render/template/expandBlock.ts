import { type Environment, expandProgram, namesOf, placeOf, sourceOf } from './expand.js'
import { argumentOf, callOf, expressionOf, hashOf } from './expression.js'
import { expandLayoutBlock } from './layouts.js'
import { templateError } from './parse.js'
import type { BlockNode, BlockType, TemplateNode } from './tree.js'

const BUILT_IN = new Set<string>(['if', 'unless', 'each', 'with'])
/** Helpers that only decide: as a block they are conditions. */
const DECISIONS = new Set(['eq', 'ne', 'and', 'or', 'not'])
const LAYOUT = new Set(['extend', 'content', 'block'])

/** `{{#…}}` of every kind. */
export function expandBlock(statement: hbs.AST.BlockStatement, env: Environment): TemplateNode[] {
  const name = statement.path.original
  const custom = env.parts.customHelpers.has(name)
  if (!custom && LAYOUT.has(name) && statement.params[0]?.type === 'StringLiteral')
    return expandLayoutBlock(statement, env)
  if (!custom && BUILT_IN.has(name)) return [builtIn(statement, name as BlockType, env)]
  if (!custom && name === 'raw' && statement.params.length === 0) return expandProgram(statement.program, env)

  const names = namesOf(env)
  const call = callOf(statement, names)
  if (call !== undefined) return [node(statement, DECISIONS.has(name) && !custom ? 'if' : 'call', call, env)]
  const subject = expressionOf(statement, names)
  return [node(statement, 'section', subject, env)]
}

function builtIn(statement: hbs.AST.BlockStatement, type: BlockType, env: Environment): BlockNode {
  const [subject] = statement.params
  const at = placeOf(statement, env)
  if (subject === undefined || statement.params.length > 1)
    throw templateError(`{{#${type}}} takes exactly one argument`, at)
  if ((type === 'if' || type === 'unless') && blockParamsOf(statement).length > 0)
    throw templateError(`{{#${type}}} has no block parameters`, at)
  const block = node(statement, type, argumentOf(subject, namesOf(env)), env)
  const includeZero = hashOf(statement.hash, namesOf(env)).find(([name]) => name === 'includeZero')
  if (includeZero !== undefined) block.includeZero = includeZero[1]
  return block
}

function node(
  statement: hbs.AST.BlockStatement,
  type: BlockType,
  subject: BlockNode['subject'],
  env: Environment,
): BlockNode {
  const program = statement.program as hbs.AST.Program | undefined
  const inverse = statement.inverse as hbs.AST.Program | undefined
  const declared = blockParamsOf(statement)
  return {
    kind: 'block',
    type,
    subject,
    body: expandProgram(program, inBlock(type, declared, env)),
    inverse: expandProgram(inverse, inBlock(type, [], env)),
    hasInverse: inverse !== undefined,
    parameters: declared.length,
    source: sourceOf(statement, env),
    at: placeOf(statement, env),
  }
}

/** The typings promise a list; the parser leaves it out. */
function blockParamsOf(statement: hbs.AST.BlockStatement): readonly string[] {
  const program = statement.program as { blockParams?: string[] } | undefined
  return program?.blockParams ?? []
}

/** `if` and `unless` open no scope of their own; every other block counts when block parameters are looked for. */
function inBlock(type: BlockType, declared: readonly string[], env: Environment): Environment {
  if (type === 'if' || type === 'unless') return env
  return { ...env, parameters: [declared, ...env.parameters] }
}
