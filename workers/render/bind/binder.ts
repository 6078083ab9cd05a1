import { templateError } from '../template/parse.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type {
  Arguments,
  AttributeNode,
  BlockNode,
  CallExpression,
  PartialNode,
  Reach,
  ScopeNode,
  TemplateNode,
  ValueNode,
} from '../template/tree.js'
import { joinPieces, type Piece, Pieces, type BindingRun, type Writer } from './bindingRun.js'
import { compileBlock } from './blocks.js'
import { compileExpression, compileHash } from './expressions.js'
import type { Helper, Helpers } from './helperCall.js'
import { Scope, type Variables } from './scope.js'
import { isSafeString, stringifyValue } from './values.js'

/** What becomes of values on their way into the output. */
export interface OutputEncoder {
  /** Text of `{{x}}`; a SafeString comes through `raw`. */
  escape: (text: string, node: ValueNode) => string
  /** HTML of `{{{x}}}` and of a SafeString. @throws where it can't stand here. */
  raw: (html: string, node: ValueNode) => string
  /** What a helper made of its block. */
  block: (html: string, node: BlockNode) => string
  /** A whole attribute value, as `escape` and `raw` left its parts. */
  attribute: (value: string, node: AttributeNode) => string
}

/** A template's nodes, compiled: binding runs them over data. */
export class Binder {
  readonly constants: string[] = []
  readonly #main: Writer

  constructor(
    nodes: readonly TemplateNode[],
    helpers: Helpers,
    policy: OutputEncoder,
    partials: ReadonlyMap<string, readonly TemplateNode[]>,
  ) {
    this.#main = new NodeCompiler(this.constants, helpers, policy, partials).compileAll(nodes)
  }

  bind(data: unknown, variables: Variables, run: BindingRun): readonly Piece[] {
    const out = new Pieces()
    try {
      this.#main(Scope.of(data, variables), run, out)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `The template can't be bound: ${error.message}; does a partial call itself without end?`,
      )
    }
    return out.row
  }

  text(row: readonly Piece[]): string {
    return joinPieces(row, this.constants)
  }
}

/** How the scope of a shared part comes about. */
type Entrance = Pick<ScopeNode, 'keep' | 'layer'> & { reach: Reach }

/** Turns nodes into functions, once; running them does no lookups by type. */
export class NodeCompiler {
  readonly #partials = new Map<string, Writer>()

  constructor(
    private readonly constants: string[],
    readonly helpers: Helpers,
    private readonly policy: OutputEncoder,
    private readonly partials: ReadonlyMap<string, readonly TemplateNode[]>,
  ) {}

  compileAll(nodes: readonly TemplateNode[]): Writer {
    const writers = nodes.map((node) => this.#one(node))
    const [only] = writers
    if (only === undefined) return () => undefined
    if (writers.length === 1) return only
    return (scope, run, out) => {
      for (const write of writers) write(scope, run, out)
    }
  }

  #one(node: TemplateNode): Writer {
    switch (node.kind) {
      case 'text': {
        const index = this.constants.push(node.text) - 1
        return (_scope, _run, out) => out.constant(index)
      }
      case 'value':
        return this.#value(node)
      case 'block':
        return compileBlock(node, this)
      case 'scope':
        return this.#inScope(node, this.compileAll(node.body))
      case 'anchor': {
        const body = this.compileAll(node.body)
        return (scope, run, out) => {
          run.anchors[node.id] = scope
          body(scope, run, out)
        }
      }
      case 'anchored': {
        const body = this.compileAll(node.body)
        return (_scope, run, out) => body(run.anchors[node.to]!, run, out)
      }
      case 'partial':
        return this.#partial(node)
      case 'attribute':
        return this.#attribute(node)
    }
  }

  #value(node: ValueNode): Writer {
    const evaluate = compileExpression(node.expression, this.helpers, false)
    const { escape, raw } = this.policy
    if (node.raw) return (scope, run, out) => out.value(raw(stringifyValue(evaluate(scope, run)), node))
    return (scope, run, out) => {
      const value = evaluate(scope, run)
      if (typeof value === 'string') out.value(escape(value, node))
      else out.value(isSafeString(value) ? raw(value.toHTML(), node) : escape(stringifyValue(value), node))
    }
  }

  /** A partial with a context or parameters of its own sees a new object, as Handlebars builds it. */
  #inScope(node: Arguments & Entrance, write: Writer): Writer {
    const { indent } = node
    const body = indent === undefined ? write : this.#indented(write, indent)
    const context =
      node.context === undefined ? undefined : compileExpression(node.context, this.helpers, false)
    // What the partial does with a parameter decides whether it may be absent.
    const hash = compileHash(node.hash, this.helpers, true)
    return (scope, run, out) => {
      let inner = context === undefined ? scope.context : context(scope, run)
      if (hash.length > 0) {
        const merged: Record<string, unknown> = { ...(inner as object) }
        for (const [name, value] of hash) merged[name] = value(scope, run)
        inner = merged
      }
      const origin = node.context === undefined ? scope.origin : { from: scope, by: node.context }
      body(scope.enterPart(inner, origin, node), run, out)
    }
  }

  /** As Handlebars does it: every line of what came out, those of values too. */
  #indented(write: Writer, indent: string): Writer {
    return (scope, run, out) => {
      const inner = new Pieces()
      write(scope, run, inner)
      const lines = this.join(inner).split('\n')
      const last = lines.length - 1
      out.value(lines.map((line, at) => (line === '' && at === last ? '' : indent + line)).join('\n'))
    }
  }

  /** The name is evaluated where the call stands, not in the context that the partial is given. */
  #partial(node: PartialNode): Writer {
    const { refusal } = node
    if (refusal !== undefined)
      return () => {
        throw templateError(refusal, node.at)
      }
    const name = compileExpression(node.name, this.helpers, false)
    const called = new Map(
      Object.entries(node.candidates).map(([candidate, key]) => {
        const write: Writer = (scope, run, out) => this.#partialOf(key)(scope, run, out)
        return [candidate, this.#inScope({ ...node, reach: 'here' }, write)] as const
      }),
    )
    return (scope, run, out) => {
      const meant = stringifyValue(name(scope, run))
      const write = called.get(meant)
      if (write !== undefined) write(scope, run, out)
      else if (run.missing.size === 0)
        throw templateError(`there is no partial ${JSON.stringify(meant.slice(0, 100))}`, node.at)
    }
  }

  /** Compiled when it is first called, because it may call itself. */
  #partialOf(key: string): Writer {
    const known = this.#partials.get(key)
    if (known !== undefined) return known
    const nodes = this.partials.get(key)
    if (nodes === undefined) throw new TypeError(`A binder without the partial ${key}`)
    const writer = this.compileAll(nodes)
    this.#partials.set(key, writer)
    return writer
  }

  #attribute(node: AttributeNode): Writer {
    const value = this.compileAll(node.value)
    const { attribute } = this.policy
    return (scope, run, out) => {
      const inner = new Pieces()
      value(scope, run, inner)
      out.value(attribute(this.join(inner), node))
    }
  }

  findHelper(call: CallExpression): Helper {
    const helper = this.helpers.byName.get(call.helper)
    if (helper === undefined)
      throw templateError(`there is no helper ${JSON.stringify(call.helper)}`, call.at)
    return helper
  }

  join(pieces: Pieces): string {
    return joinPieces(pieces.row, this.constants)
  }

  encodeHelperOutput(html: string, node: BlockNode): string {
    return this.policy.block(html, node)
  }
}
