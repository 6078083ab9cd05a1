import { expandFragment, expandSharedFile, inlinePartialsOf, withInlinePartials } from './expand.js'
import { type Environment, type Fragment, namesOf, placeOf, sourceOf } from './expansion.js'
import { argumentOf, hashOf } from './expression.js'
import { extractHeads } from './includes.js'
import { templateError } from './parse.js'
import { simplifyScope } from './scopeNodes.js'
import { describePlace, placeAt, TemplateFailure } from './sourceFile.js'
import type { Arguments, Expression, PartialNode, Place, Reach, TemplateNode } from './tree.js'

const PARTIAL_BLOCK = '@partial-block'
/** Deeper than a hand-written template goes. Deeper nesting means that a partial calls itself. */
const MAX_DEPTH = 50
/** Limits the candidates for computed names, which are expanded for every place they may be called from. */
const MAX_CANDIDATES = 2000

type Call = hbs.AST.PartialStatement | hbs.AST.PartialBlockStatement

/** The nodes of a shared part, and the contexts that `../` refers to in them. */
interface Part {
  nodes: TemplateNode[]
  reach: Reach
  /** Whether it is a block that was passed to a partial. */
  isBlock?: true
}

/** `{{> name context key=value}}`: replaces the call with the nodes of the partial. */
export function expandPartial(statement: hbs.AST.PartialStatement, env: Environment): TemplateNode[] {
  const name = staticName(statement)
  if (name === undefined) return [partialNode(statement, argumentOf(statement.name, namesOf(env)), env)]
  if (env.inside.includes(name)) return [partialNode(statement, { kind: 'literal', value: name }, env)]
  const part = partOf(name, env)
  if (part !== undefined) return expandCall(statement, part, env)
  return reportError(statement, unknownPartial(name, env), env)
}

/** `{{#> name}}…{{/name}}`: the partial with the block for its `{{> @partial-block}}`, or the block alone if the partial doesn't exist. */
export function expandPartialBlock(
  statement: hbs.AST.PartialBlockStatement,
  env: Environment,
): TemplateNode[] {
  const name = staticName(statement)
  if (name === undefined) return reportError(statement, 'a partial with a block needs a fixed name', env)
  const { program } = statement
  if (env.inside.includes(name) || isWithin(program, env.partialBlock))
    return reportError(statement, `the partial '${name}' calls itself with a block`, env)
  const keep = env.expansion.numberOf(statement)
  const block: Fragment = { program, env, reach: keep }
  return expandCall(statement, partOf(name, env, block) ?? blockPart(block, env), env, keep)
}

/** Whether a block is expanded inside a partial that the block itself calls. */
function isWithin(program: hbs.AST.Program, block: Fragment | undefined): boolean {
  for (let at = block; at !== undefined; at = at.env.partialBlock) if (at.program === program) return true
  return false
}

/**
 * Resolves a name to a block, an inline partial or a file.
 * @param block the block passed to the part; its inline partials are in scope in a file
 */
function partOf(name: string, env: Environment, block?: Fragment): Part | undefined {
  if (env.inside.length >= MAX_DEPTH)
    throw templateError(`partials are nested deeper than ${MAX_DEPTH} levels`, startOf(env))
  if (name === PARTIAL_BLOCK) return env.partialBlock && blockPart(env.partialBlock, env)
  const overrides = { inside: [...env.inside, name], partialBlock: block ?? env.partialBlock }
  const inline = inlinePartialsOf(env).get(name)
  if (inline !== undefined) return { nodes: expandFragment(inline, env, overrides), reach: inline.reach }
  const file = env.parts.partials.get(name)
  if (file === undefined) return undefined
  const callerEnv = block === undefined ? env : withInlinePartials(block.program, env, block.reach)
  return {
    nodes: expandSharedFile(file, { ...env, ...overrides }, inlinePartialsOf(callerEnv)),
    reach: 'file',
  }
}

/** In a block, `@partial-block` refers to the block passed to the partial around it, not to itself. */
function blockPart(block: Fragment, env: Environment): Part {
  return { nodes: expandFragment(block, env), reach: block.reach, isBlock: true }
}

/** @param keep the number under which the scope of the call is kept for its block */
function expandCall(
  statement: Call,
  { nodes, reach, isBlock }: Part,
  env: Environment,
  keep?: number,
): TemplateNode[] {
  const at = placeOf(statement, env)
  const scope = { kind: 'scope', ...argumentsOf(statement, env), reach, body: nodes, at } as const
  if (keep === undefined) return simplifyScope(isBlock ? { ...scope, layer: true } : scope)
  // A call with a block adds a layer, and so does calling the block.
  if (!isBlock) return simplifyScope({ ...scope, keep, layer: true })
  const body = simplifyScope({ kind: 'scope', hash: [], reach, layer: true, body: nodes, at })
  return simplifyScope({ ...scope, reach: 'here', keep, layer: true, body })
}

function argumentsOf(statement: Call, env: Environment): Arguments {
  const [param, second] = statement.params
  const at = placeOf(statement, env)
  if (second !== undefined) throw templateError('a partial takes at most one context', at)
  const result: Arguments = { hash: hashOf(statement.hash, namesOf(env)) }
  if (param !== undefined) result.context = argumentOf(param, namesOf(env))
  const { indent } = statement as { indent?: string }
  if (env.expansion.keepsIndent && indent) result.indent = indent
  return result
}

function startOf({ file }: Environment): Place {
  return placeAt(file, 1, 1)
}

/** Reports an error in a partial call. In a candidate for a computed name, it counts only if the candidate is called. */
function reportError(statement: Call, reason: string, env: Environment): TemplateNode[] {
  const at = placeOf(statement, env)
  if (!env.isCandidate) throw templateError(reason, at)
  return [refusalNode(reason, at, sourceOf(statement, env))]
}

function partialNode(statement: hbs.AST.PartialStatement, name: Expression, env: Environment): PartialNode {
  const names =
    name.kind === 'literal'
      ? [String(name.value)]
      : [...inlinePartialsOf(env).keys(), ...env.parts.partials.keys()]
  const candidates: Record<string, string> = {}
  for (const candidate of names) {
    const key = candidateOf(candidate, env)
    if (key !== undefined) Object.defineProperty(candidates, candidate, { value: key, enumerable: true })
  }
  const [source, at] = [sourceOf(statement, env), placeOf(statement, env)]
  return { kind: 'partial', name, ...argumentsOf(statement, env), candidates, source, at }
}

/** Returns the key of a candidate. It is expanded once for all calls in which its names mean the same. */
function candidateOf(name: string, env: Environment): string | undefined {
  const { expansion } = env
  const { partials } = expansion
  const known = expansion.candidates.get(signatureOf(name, env))
  if (known !== undefined) return known
  if (!inlinePartialsOf(env).has(name) && !env.parts.partials.has(name)) return undefined
  const count = Object.keys(partials).length
  if (count >= MAX_CANDIDATES)
    throw templateError(
      `a computed partial name has more than ${MAX_CANDIDATES} candidates in this template`,
      startOf(env),
    )
  const key = `${name} ${count}`
  expansion.candidates.set(signatureOf(name, env), key)
  partials[key] = []
  // A layout or include around it must still not be used inside it.
  const inside = env.inside.filter((around) => around.includes(' '))
  const part = orRefusal(name, () => partOf(name, { ...env, inside, isCandidate: true }))
  if (part !== undefined) {
    const at = { file: name, line: 1, column: 1 }
    const nodes = simplifyScope({ kind: 'scope', hash: [], reach: part.reach, body: part.nodes, at })
    // A candidate doesn't affect the head.
    partials[key] = extractHeads(nodes, expansion.heads).rest
  }
  return key
}

/** Returns the candidate. One with an error is refused when it is called, because a partial that no data chooses must not matter. */
function orRefusal(name: string, expand: () => Part | undefined): Part | undefined {
  try {
    return expand()
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error
    const at: Place = { file: name, line: 1, column: 1, ...error.details.location }
    const prefix = `${describePlace(at)}: `
    const reason = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message
    return { nodes: [refusalNode(reason, at, '')], reach: 'file' }
  }
}

function refusalNode(refusal: string, at: Place, source: string): PartialNode {
  const name: Expression = { kind: 'literal', value: refusal }
  return { kind: 'partial', name, hash: [], candidates: {}, refusal, source, at }
}

/** Returns a text that differs if a name inside the partial might have another meaning. */
function signatureOf(name: string, { expansion, home, inline, partialBlock, contents }: Environment): string {
  const number = ({ program }: Fragment) => expansion.numberOf(program)
  const blocks: number[] = []
  for (let block = partialBlock; block !== undefined; block = block.env.partialBlock)
    blocks.push(number(block))
  const partials = [...inline].map(([file, all]) => [file, ...[...all].map(([at, one]) => [at, number(one)])])
  const given = [...contents].map(([block, all]) => [block, ...all.map(number)])
  return JSON.stringify([name, home, blocks, partials, given])
}

function staticName(statement: Call): string | undefined {
  return statement.name.type === 'SubExpression' ? undefined : statement.name.original
}

function unknownPartial(name: string, env: Environment): string {
  if (name === PARTIAL_BLOCK)
    return '{{> @partial-block}} is used in a partial that was called without a block'
  const known = [...env.parts.partials.keys()].slice(0, 20).join(', ')
  return `unknown partial '${name}'. Known partials: ${known === '' ? 'none' : known}`
}
