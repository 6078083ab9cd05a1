import { expandFragment, expandSharedFile, inlinePartialsOf, withInlinePartials } from './expand.js'
import { type Environment, type Fragment, namesOf, placeOf, sourceOf } from './expansion.js'
import { argumentOf, hashOf } from './expression.js'
import { extractHeads } from './includes.js'
import { templateError } from './parse.js'
import { simplifyScope } from './scopeNodes.js'
import { placeAt } from './sourceFile.js'
import type { Arguments, Expression, PartialNode, Place, Reach, TemplateNode } from './tree.js'

const PARTIAL_BLOCK = '@partial-block'
/** Deeper than any template people write; what goes deeper calls itself. */
const MAX_DEPTH = 50
/** Every partial a computed name may mean is put together for every place it may be called from. */
const MAX_CANDIDATES = 2000

type Call = hbs.AST.PartialStatement | hbs.AST.PartialBlockStatement

/** The nodes of a shared part, and the contexts that `../` reaches from them. */
interface Part {
  nodes: TemplateNode[]
  reach: Reach
  /** It is a block that was given to a partial. */
  isBlock?: true
}

/** `{{> name context key=value}}`: the partial's nodes in place of the call. */
export function expandPartial(statement: hbs.AST.PartialStatement, env: Environment): TemplateNode[] {
  const name = staticName(statement)
  if (name === undefined) return [partialNode(statement, argumentOf(statement.name, namesOf(env)), env)]
  if (env.inside.includes(name)) return [partialNode(statement, { kind: 'literal', value: name }, env)]
  const part = partOf(name, env)
  if (part !== undefined) return called(statement, part, env)
  return refused(statement, unknownPartial(name, env), env)
}

/** `{{#> name}}…{{/name}}`: the partial, with the block for its `{{> @partial-block}}`; the block alone if there is none. */
export function expandPartialBlock(
  statement: hbs.AST.PartialBlockStatement,
  env: Environment,
): TemplateNode[] {
  const name = staticName(statement)
  if (name === undefined) return refused(statement, 'a partial with a block needs a fixed name', env)
  const { program } = statement
  if (env.inside.includes(name) || isWithin(program, env.partialBlock))
    return refused(statement, `the partial '${name}' is inside itself, with a block`, env)
  const keep = env.expansion.numberOf(statement)
  const block: Fragment = { program, env, reach: keep }
  return called(statement, partOf(name, env, block) ?? blockPart(block, env), env, keep)
}

/** Whether a block is executed to fill a partial that it calls itself. */
function isWithin(program: hbs.AST.Program, block: Fragment | undefined): boolean {
  for (let at = block; at !== undefined; at = at.env.partialBlock) if (at.program === program) return true
  return false
}

/**
 * What a name stands for: a block, an inline partial or a file.
 * @param block what is given to it; the inline partials in it count in a file that is given it
 */
function partOf(name: string, env: Environment, block?: Fragment): Part | undefined {
  if (env.inside.length >= MAX_DEPTH)
    throw templateError(`partials are nested deeper than ${MAX_DEPTH} levels`, startOf(env))
  if (name === PARTIAL_BLOCK) return env.partialBlock && blockPart(env.partialBlock, env)
  const differs = { inside: [...env.inside, name], partialBlock: block ?? env.partialBlock }
  const inline = inlinePartialsOf(env).get(name)
  if (inline !== undefined) return { nodes: expandFragment(inline, env, differs), reach: inline.reach }
  const file = env.parts.partials.get(name)
  if (file === undefined) return undefined
  const seen = block === undefined ? env : withInlinePartials(block.program, env, block.reach)
  return { nodes: expandSharedFile(file, { ...env, ...differs }, inlinePartialsOf(seen)), reach: 'file' }
}

/** A block sees the block that was given to the partial it was written in, not itself. */
function blockPart(block: Fragment, env: Environment): Part {
  return { nodes: expandFragment(block, env), reach: block.reach, isBlock: true }
}

/** @param keep the number under which the scope of the call is kept for the block that it gives */
function called(
  statement: Call,
  { nodes, reach, isBlock }: Part,
  env: Environment,
  keep?: number,
): TemplateNode[] {
  const at = placeOf(statement, env)
  const scope = { kind: 'scope', ...argumentsOf(statement, env), reach, body: nodes, at } as const
  if (keep === undefined) return simplifyScope(isBlock ? { ...scope, layer: true } : scope)
  // A call that gives a block adds a layer, and calling a block adds one.
  if (!isBlock) return simplifyScope({ ...scope, keep, layer: true })
  const body = simplifyScope({ kind: 'scope', hash: [], reach, layer: true, body: nodes, at })
  return simplifyScope({ ...scope, reach: 'here', keep, layer: true, body })
}

function argumentsOf(statement: Call, env: Environment): Arguments {
  const [param, surplus] = statement.params
  const at = placeOf(statement, env)
  if (surplus !== undefined) throw templateError('a partial takes one context at most', at)
  const given: Arguments = { hash: hashOf(statement.hash, namesOf(env)) }
  if (param !== undefined) given.context = argumentOf(param, namesOf(env))
  const { indent } = statement as { indent?: string }
  if (env.expansion.keepsIndent && indent) given.indent = indent
  return given
}

function startOf({ file }: Environment): Place {
  return placeAt(file, 1, 1)
}

/** What is wrong with a partial that only may be meant counts when it is really called. */
function refused(statement: Call, reason: string, env: Environment): TemplateNode[] {
  const at = placeOf(statement, env)
  if (!env.isCandidate) throw templateError(reason, at)
  const name: Expression = { kind: 'literal', value: reason }
  return [
    {
      kind: 'partial',
      name,
      hash: [],
      candidates: {},
      refusal: reason,
      source: sourceOf(statement, env),
      at,
    },
  ]
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

/** The key of a partial that may be meant. It is put together once for all calls that give its names the same meaning. */
function candidateOf(name: string, env: Environment): string | undefined {
  const { expansion } = env
  const { partials } = expansion
  const known = expansion.candidates.get(signatureOf(name, env))
  if (known !== undefined) return known
  if (!inlinePartialsOf(env).has(name) && !env.parts.partials.has(name)) return undefined
  const count = Object.keys(partials).length
  if (count >= MAX_CANDIDATES)
    throw templateError(`more than ${MAX_CANDIDATES} partials may be meant`, startOf(env))
  const key = `${name} ${count}`
  expansion.candidates.set(signatureOf(name, env), key)
  partials[key] = []
  // A layout or include that is around it still must not be used inside of it.
  const inside = env.inside.filter((around) => around.includes(' '))
  const part = partOf(name, { ...env, inside, isCandidate: true })
  if (part !== undefined) {
    const at = { file: name, line: 1, column: 1 }
    const nodes = simplifyScope({ kind: 'scope', hash: [], reach: part.reach, body: part.nodes, at })
    // A partial that only may be meant has no say about the head.
    partials[key] = extractHeads(nodes, expansion.heads).rest
  }
  return key
}

/** Differs wherever a name inside the partial might mean something else. */
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
    return '{{> @partial-block}} stands in a partial that was called without a block'
  const known = [...env.parts.partials.keys()].slice(0, 20).join(', ')
  return `there is no partial '${name}'. Known: ${known === '' ? 'none' : known}`
}
