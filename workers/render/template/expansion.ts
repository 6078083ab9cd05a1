import { parse } from './parse.js'
import { linesOf, placeAt, type SourceFile, type TemplateFailure } from './sourceFile.js'
import type { Place, Reach, SharedParts, TemplateNode } from './tree.js'

/** Partials that call others multiply. A large template has some thousand statements. */
export const MAX_STATEMENTS = 100_000
/** Characters of text outside expressions. */
export const MAX_CHARACTERS = 10_000_000

/** A Handlebars program with the environment that its names resolve in: an inline partial, or a block passed to a partial. */
export interface Fragment {
  program: hbs.AST.Program
  env: Environment
  /** The scope from which `../` counts. */
  reach: Reach
}

/** The names in scope at a node. */
export interface Environment {
  readonly file: SourceFile
  readonly parts: SharedParts
  readonly expansion: Expansion
  /** The block parameters in scope. Those of a partial's caller are not. */
  readonly parameters: ReadonlyMap<string, number>
  /** Number of the file whose inline partials are in scope. */
  readonly home: number
  /** By number of the file: the inline partials in its scope at the moment. */
  readonly inline: ReadonlyMap<number, ReadonlyMap<string, Fragment>>
  /** The block that `{{> @partial-block}}` refers to. */
  readonly partialBlock: Fragment | undefined
  /** The contents that `{{#content}}` defines for the blocks of a layout, by name. */
  readonly contents: ReadonlyMap<string, readonly BlockContent[]>
  /** Names of the partials, layouts and includes around this node. */
  readonly inside: readonly string[]
  /** Whether this is a candidate for a partial with a computed name, and so may never be called. */
  readonly isCandidate: boolean
}

/** The content that a template defines for a block of a layout. */
export interface BlockContent extends Fragment {
  mode: 'replace' | 'append' | 'prepend'
}

/** The state shared by all parts of one template while they are expanded. */
export class Expansion {
  /** Every file used, by name. */
  readonly files = new Map<string, SourceFile>()
  /** Nodes from the heads of included documents, which MJML appends to the head. */
  readonly heads = new Set<TemplateNode>()
  /** Keys of the candidates for computed names, by a signature of their environment. */
  readonly candidates = new Map<string, string>()
  #statements = 0
  #characters = 0
  readonly #numbers = new Map<unknown, number>()
  readonly #programs = new Map<SourceFile, hbs.AST.Program>()

  constructor(
    /** Candidates for partials with a computed name, by key. Shared by the trees of a template. */
    readonly partials: Record<string, TemplateNode[]>,
    /** Whether white space before a partial call is part of the output, as in text. In MJML it has no meaning. */
    readonly keepsIndent: boolean,
    /** Collects the errors of statements, which then have no nodes. Without it, the first error is thrown. */
    readonly failures?: TemplateFailure[],
  ) {}

  /** Whether the template has exceeded a limit. No further statement is expanded then. */
  get isTooLarge(): boolean {
    return this.#statements > MAX_STATEMENTS || this.#characters > MAX_CHARACTERS
  }

  /** Counts a statement with its characters of text. Returns whether the template is still within the limits. */
  count(characters: number): boolean {
    this.#statements++
    this.#characters += characters
    return !this.isTooLarge
  }

  /** Returns the number of a block, partial or file. The same object always has the same number. */
  numberOf(thing: unknown): number {
    const known = this.#numbers.get(thing)
    if (known !== undefined) return known
    this.#numbers.set(thing, this.#numbers.size)
    return this.#numbers.size - 1
  }

  /** Returns the block parameters that a program declares: their numbers in order, and by name. Of two with the same name, the first counts. */
  parametersOf(program: hbs.AST.Program | undefined): { numbers: number[]; names: Map<string, number> } {
    // The typings declare a list, but the parser omits an empty one.
    const declared = (program as { blockParams?: string[] } | undefined)?.blockParams ?? []
    const numbers = declared.map((_, index) => this.numberOf(`${this.numberOf(program)}, ${index}`))
    const names = new Map(declared.map((name) => [name, numbers[declared.indexOf(name)] ?? 0]))
    return { numbers, names }
  }

  parse(file: SourceFile): hbs.AST.Program {
    this.files.set(file.name, file)
    const program = this.#programs.get(file) ?? parse(file)
    this.#programs.set(file, program)
    return program
  }
}

export function placeOf(node: hbs.AST.Node, env: Environment): Place {
  return placeAt(env.file, node.loc.start.line, node.loc.start.column + 1)
}

export function namesOf(env: Environment) {
  return {
    helpers: env.parts.helpers,
    customHelpers: env.parts.customHelpers,
    parameters: env.parameters,
    hasPartialBlock: env.partialBlock !== undefined,
    place: (node: hbs.AST.Node): Place => placeOf(node, env),
  }
}

/** Returns the source text of an expression. */
export function sourceOf(node: hbs.AST.Node, env: Environment): string {
  const { start, end } = node.loc
  const lines = linesOf(env.file).slice(start.line - 1, end.line)
  if (lines.length === 0) return ''
  lines[lines.length - 1] = lines.at(-1)?.slice(0, end.column) ?? ''
  lines[0] = lines[0]?.slice(start.column) ?? ''
  return (lines.join(' ').match(/^\{\{.*?\}\}+/)?.[0] ?? lines.join(' ')).slice(0, 200)
}
