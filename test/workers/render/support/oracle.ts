import Handlebars from 'handlebars'
import { ACCEPTS_ABSENT, logicHelpers } from '../../../../workers/render/helpers/builtInHelpers.js'

/** The result of Handlebars itself: its text, or the reason why there is none. */
export type Oracle = { text: string } | { missing: true } | { error: string }

type Path = hbs.AST.PathExpression
type Call = hbs.AST.Node & { path: Path; params: hbs.AST.Expression[]; hash?: hbs.AST.Hash }
type Block = hbs.AST.BlockStatement & { program?: Program; inverse?: Program }
type Program = hbs.AST.Program & { blockParams?: string[] }

const DEMAND = 'demandedByTheOracle'
const TEXT = 'textForTheOracle'
const IS_GIVEN = 'isGivenForTheOracle'
const CONDITIONS = new Set(['if', 'unless'])

/**
 * Compiles and runs a template with the real Handlebars. One part of threadpost's contract is added, because
 * Handlebars has nothing like it: a path that leads nowhere is an error unless the template asks whether it does. Each
 * path that must lead somewhere becomes the argument of a helper that notes what is undefined. And
 * `{{#if @partial-block}}` asks whether there is a block, where Handlebars runs the block without a context and asks
 * whether it printed anything. Raw values are made text, because Handlebars adds them up where two numbers meet:
 * `{{{1}}}{{{2}}}` would be 3.
 * @returns what it makes of data
 */
export function compileHandlebars({
  source,
  partials,
}: {
  source: string
  partials: Record<string, string>
}): (data: unknown, variables: object) => Oracle {
  const handlebars = Handlebars.create()
  let isMissing = false
  for (const [name, helper] of Object.entries(logicHelpers))
    if (name !== 'lookup') handlebars.registerHelper(name, helper)
  handlebars.registerHelper(DEMAND, (...given: unknown[]) => {
    // A field of null is absent; Handlebars takes it for null.
    const [value, parent] = given.slice(0, -1)
    if (value === undefined || (given.length > 2 && (parent ?? null) === null)) isMissing = true
    return value
  })
  handlebars.registerHelper(TEXT, (value?: string | number | boolean | null) => String(value ?? ''))
  handlebars.registerHelper(IS_GIVEN, (block: unknown) => block !== undefined)
  try {
    for (const [name, partial] of Object.entries(partials))
      handlebars.registerPartial(name, handlebars.compile(demanding(handlebars.parse(partial) as Program)))
    const template = handlebars.compile(demanding(handlebars.parse(source) as Program))
    return (data, variables) => {
      isMissing = false
      try {
        // With a root among them, they are the outermost layer.
        const text = template(data, { data: { ...variables, root: data } })
        return isMissing ? { missing: true } : { text }
      } catch (error) {
        return isMissing ? { missing: true } : failed(error)
      }
    }
  } catch (error) {
    return () => failed(error)
  }
}

function failed(error: unknown): Oracle {
  return { error: (error as Error).message }
}

/** The program with a demand around each path that has to lead somewhere. */
function demanding(program: Program): Program {
  new Demands().program(program, new Set())
  return program
}

class Demands {
  program(program: Program | undefined, outer: ReadonlySet<string>): void {
    if (program === undefined) return
    const names = new Set([...outer, ...(program.blockParams ?? [])])
    for (const statement of program.body) this.#statement(statement, names)
  }

  #statement(statement: hbs.AST.Statement, names: ReadonlySet<string>): void {
    switch (statement.type) {
      case 'MustacheStatement':
        this.#mustache(statement as hbs.AST.Statement & Call & { escaped: boolean }, names)
        break
      case 'BlockStatement':
        this.#block(statement as Block, names)
        break
      case 'DecoratorBlock':
        this.program((statement as hbs.AST.DecoratorBlock).program, names)
        break
      case 'PartialStatement':
      case 'PartialBlockStatement': {
        const call = statement as hbs.AST.PartialBlockStatement
        call.params = call.params.map((param) => this.#argument(param, false, names))
        this.#hash(call.hash, true, names)
        if (call.name.type === 'SubExpression')
          call.name = this.#argument(call.name, false, names) as hbs.AST.SubExpression
        this.program(call.program, names)
        break
      }
    }
  }

  #mustache(mustache: hbs.AST.Statement & Call & { escaped: boolean }, names: ReadonlySet<string>): void {
    const isCall = this.#isCall(mustache, names)
    const value = isCall ? ({ ...mustache, type: 'SubExpression' } as Call) : mustache.path
    const demanded = this.#argument(value, false, names)
    const said = mustache.escaped ? demanded : wrapped(TEXT, demanded)
    if (said === mustache.path) return
    const { path, params, hash } = said as Call
    Object.assign(mustache, { path, params, hash })
  }

  #block(block: Block, names: ReadonlySet<string>): void {
    const name = block.path.original
    if (CONDITIONS.has(name)) {
      block.params = block.params.map((param) => this.#argument(param, true, names))
      this.#hash(block.hash, true, names)
    } else if (name === 'each' || name === 'with') {
      block.params = block.params.map((param) => this.#argument(param, block.inverse !== undefined, names))
    } else if (this.#isCall(block, names)) {
      this.#arguments(block, ACCEPTS_ABSENT.has(name), names)
    }
    this.program(block.program, names)
    this.program(block.inverse, names)
  }

  #argument(
    expression: hbs.AST.Expression,
    optional: boolean,
    names: ReadonlySet<string>,
  ): hbs.AST.Expression {
    if (expression.type === 'PathExpression') {
      const path = expression as Path
      if (path.original === '@partial-block') return wrapped(IS_GIVEN, path)
      const name = path.parts[0] ?? ''
      const isVariable = path.data && name !== 'root' && !(path.depth === 0 && names.has(name))
      return optional || isVariable ? path : demand(path, names)
    }
    if (expression.type !== 'SubExpression') return expression
    const call = expression as hbs.AST.SubExpression
    const isLookup = call.path.original === 'lookup'
    this.#arguments(call, ACCEPTS_ABSENT.has(call.path.original) || (optional && isLookup), names)
    return isLookup && !optional ? demand(call, names) : call
  }

  #arguments(call: Call, optional: boolean, names: ReadonlySet<string>): void {
    call.params = call.params.map((param) => this.#argument(param, optional, names))
    this.#hash(call.hash, optional, names)
  }

  #hash(hash: hbs.AST.Hash | undefined, optional: boolean, names: ReadonlySet<string>): void {
    for (const pair of hash?.pairs ?? []) pair.value = this.#argument(pair.value, optional, names)
  }

  #isCall({ path, params }: Call, names: ReadonlySet<string>): boolean {
    if (params.length > 0) return true
    const isName =
      path.parts.length === 1 && !path.data && path.depth === 0 && !/^\.|this\b/.test(path.original)
    return isName && !names.has(path.original) && path.original in logicHelpers
  }
}

function demand(value: hbs.AST.Expression, names: ReadonlySet<string>): hbs.AST.SubExpression {
  const parent = parentOf(value, names)
  return parent === undefined ? wrapped(DEMAND, value) : wrapped(DEMAND, value, parent)
}

/** The path to what a path's last part is looked up in, if it is looked up in anything. */
function parentOf(value: hbs.AST.Expression, names: ReadonlySet<string>): Path | undefined {
  if (value.type !== 'PathExpression') return undefined
  const path = value as Path
  const isScoped = path.depth > 0 || /^\.|^this\b/.test(path.original)
  const isWhole = path.data || (!isScoped && names.has(path.parts[0] ?? ''))
  if (path.parts.length <= (isWhole ? 1 : 0)) return undefined
  return { ...path, parts: path.parts.slice(0, -1), original: isScoped ? 'this' : (path.parts[0] ?? '') }
}

function wrapped(helper: string, ...params: hbs.AST.Expression[]): hbs.AST.SubExpression {
  const [value] = params as [hbs.AST.Expression]
  const { loc } = value
  const path = {
    type: 'PathExpression',
    data: false,
    depth: 0,
    parts: [helper],
    original: helper,
    loc,
  } as Path
  const hash = undefined as unknown as hbs.AST.Hash
  return { type: 'SubExpression', path, params, hash, loc }
}
