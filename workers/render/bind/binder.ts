import { templateError } from '../template/parse.js'
import { TemplateFailure } from '../template/sourceFile.js'
import type {
  Arguments,
  AttributeNode,
  BlockNode,
  CallExpression,
  PartialNode,
  TemplateNode,
  ValueNode,
} from '../template/tree.js'
import { joinPieces, type Piece, Pieces, type BindingRun, type Writer } from './bindingRun.js'
import { compileBlock } from './blocks.js'
import { compileExpression, compileHash } from './expressions.js'
import type { Helper, Helpers } from './helperCall.js'
import { type PartEntry, Scope, type Variables } from './scope.js'
import { BOUND_VALUE, isSafeString, stringifyValue } from './values.js'

/** Encodes values for the output, and rejects values that are not allowed there. */
export interface OutputEncoder {
  /** The text of `{{x}}`. A SafeString goes through `raw`. */
  escape: (text: string, node: ValueNode) => string
  /** The HTML of `{{{x}}}` and of a SafeString. @throws if it is not allowed here */
  raw: (html: string, node: ValueNode) => string
  /** The output of a block helper. */
  block: (html: string, node: BlockNode) => string
  /**
   * A whole attribute value, whose parts have gone through `escape` and `raw`.
   * @param authored for a URL, the value with {@link BOUND_VALUE} in place of each bound value; else empty
   */
  attribute: (value: string, node: AttributeNode, authored: string) => string
}

/** Compiles a template's nodes into functions and runs them over the data of each message. */
export class Binder {
  readonly constants: string[] = []
  readonly #main: Writer

  constructor(
    nodes: readonly TemplateNode[],
    helpers: Helpers,
    encoder: OutputEncoder,
    partials: ReadonlyMap<string, readonly TemplateNode[]>,
  ) {
    this.#main = new NodeCompiler(this.constants, helpers, encoder, partials).compileAll(nodes)
  }

  bind(data: unknown, variables: Variables, run: BindingRun): readonly Piece[] {
    const out = new Pieces()
    try {
      this.#main(Scope.of(data, variables), run, out)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `The template can't be rendered: ${error.message}. Does a partial call itself forever?`,
      )
    }
    return out.row
  }

  text(row: readonly Piece[]): string {
    return joinPieces(row, this.constants)
  }
}

/** Turns nodes into functions once, so that running them does no lookups by node type. */
export class NodeCompiler {
  readonly #partials = new Map<string, Writer>()

  constructor(
    private readonly constants: string[],
    readonly helpers: Helpers,
    private readonly encoder: OutputEncoder,
    private readonly partials: ReadonlyMap<string, readonly TemplateNode[]>,
  ) {}

  compileAll(nodes: readonly TemplateNode[]): Writer {
    const writers = nodes.map((node) => this.#compile(node))
    const [only] = writers
    if (only === undefined) return () => undefined
    if (writers.length === 1) return only
    return (scope, run, out) => {
      for (const write of writers) write(scope, run, out)
    }
  }

  #compile(node: TemplateNode): Writer {
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
    const { escape, raw } = this.encoder
    if (node.raw) return (scope, run, out) => out.value(raw(stringifyValue(evaluate(scope, run)), node))
    return (scope, run, out) => {
      const value = evaluate(scope, run)
      if (typeof value === 'string') out.value(escape(value, node))
      else out.value(isSafeString(value) ? raw(value.toHTML(), node) : escape(stringifyValue(value), node))
    }
  }

  /** A partial with its own context or parameters gets a new object, merged as in Handlebars. */
  #inScope(node: Arguments & PartEntry, write: Writer): Writer {
    const { indent } = node
    const body = indent === undefined ? write : this.#indented(write, indent)
    const context =
      node.context === undefined ? undefined : compileExpression(node.context, this.helpers, false)
    // The use of a parameter inside the partial decides whether it may be absent.
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

  /** Indents every line of the output as Handlebars does, including lines within values. */
  #indented(write: Writer, indent: string): Writer {
    return (scope, run, out) => {
      const inner = new Pieces()
      write(scope, run, inner)
      const lines = this.join(inner).split('\n')
      const last = lines.length - 1
      out.value(lines.map((line, at) => (line === '' && at === last ? '' : indent + line)).join('\n'))
    }
  }

  /** Evaluates the name in the scope of the call, not in the context passed to the partial. */
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
      const requested = stringifyValue(name(scope, run))
      const write = called.get(requested)
      if (write !== undefined) write(scope, run, out)
      else if (run.missing.size === 0)
        throw templateError(`unknown partial ${JSON.stringify(requested.slice(0, 100))}`, node.at)
    }
  }

  /** Compiles a partial on its first call, because it may call itself. */
  #partialOf(key: string): Writer {
    const known = this.#partials.get(key)
    if (known !== undefined) return known
    const nodes = this.partials.get(key)
    if (nodes === undefined) throw new TypeError(`The binder has no partial ${key}`)
    const writer = this.compileAll(nodes)
    this.#partials.set(key, writer)
    return writer
  }

  #attribute(node: AttributeNode): Writer {
    const value = this.compileAll(node.value)
    const { attribute } = this.encoder
    const isUrl = node.checks.url !== undefined
    return (scope, run, out) => {
      const inner = new Pieces()
      value(scope, run, inner)
      out.value(attribute(this.join(inner), node, isUrl ? this.#authored(inner) : ''))
    }
  }

  #authored({ row }: Pieces): string {
    return row.map((piece) => (typeof piece === 'number' ? this.constants[piece]! : BOUND_VALUE)).join('')
  }

  findHelper(call: CallExpression): Helper {
    const helper = this.helpers.byName.get(call.helper)
    if (helper === undefined) throw templateError(`unknown helper ${JSON.stringify(call.helper)}`, call.at)
    return helper
  }

  join(pieces: Pieces): string {
    return joinPieces(pieces.row, this.constants)
  }

  encodeHelperOutput(html: string, node: BlockNode): string {
    return this.encoder.block(html, node)
  }
}
