import { parse } from './parse.js'
import { placeAt, type SourceFile } from './sourceFile.js'
import type { Place, Reach, SharedParts, TemplateNode } from './tree.js'

/** A program of Handlebars' tree with all that its names mean: an inline partial, or a block that a partial is given. */
export interface Fragment {
  program: hbs.AST.Program
  env: Environment
  /** The scope that `../` counts from. */
  reach: Reach
}

/** What is in reach where a node stands. */
export interface Environment {
  readonly file: SourceFile
  readonly parts: SharedParts
  readonly expansion: Expansion
  /** The block parameters that can be named here. A partial sees none of its caller's. */
  readonly parameters: ReadonlyMap<string, number>
  /** The file, by the number of its program, whose inline partials count here. */
  readonly home: number
  /** The inline partials that each file sees at this moment. */
  readonly inline: ReadonlyMap<number, ReadonlyMap<string, Fragment>>
  /** What `{{> @partial-block}}` stands for here. */
  readonly partialBlock: Fragment | undefined
  /** What `{{#content}}` gave for the blocks of a layout. */
  readonly contents: ReadonlyMap<string, readonly BlockContent[]>
  /** Names of the partials, layouts and includes this is inside of. */
  readonly inside: readonly string[]
  /** It may be meant by a partial with a computed name, so that it is known only later whether it is used at all. */
  readonly isCandidate: boolean
}

export interface BlockContent extends Fragment {
  mode: 'replace' | 'append' | 'prepend'
}

/** What all parts of one template share while they are put together. */
export class Expansion {
  /** Every file that took part, by name. */
  readonly files = new Map<string, SourceFile>()
  /** Nodes that are head children of included documents: MJML appends them to the head. */
  readonly heads = new Set<TemplateNode>()
  /** Keys of the partials that may be meant, by what their names mean. */
  readonly candidates = new Map<string, string>()
  readonly #numbers = new Map<unknown, number>()
  readonly #programs = new Map<SourceFile, hbs.AST.Program>()

  constructor(
    /** Partials with a computed name, by key; shared by the trees of a template. */
    readonly partials: Record<string, TemplateNode[]>,
    /** Whether the white space before a partial's call is part of the result: in text it is, in MJML it says nothing. */
    readonly keepsIndent: boolean,
  ) {}

  /** The number of a block, partial or file; the same whenever it is asked for the same thing. */
  numberOf(thing: unknown): number {
    const known = this.#numbers.get(thing)
    if (known !== undefined) return known
    this.#numbers.set(thing, this.#numbers.size)
    return this.#numbers.size - 1
  }

  /** The block parameters that a program declares: their numbers in order, and by name. Of two of one name the first counts. */
  parametersOf(program: hbs.AST.Program | undefined): { numbers: number[]; names: Map<string, number> } {
    // The typings promise a list; the parser leaves it out.
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
    parameters: env.parameters,
    hasPartialBlock: env.partialBlock !== undefined,
    place: (node: hbs.AST.Node): Place => placeOf(node, env),
  }
}

/** The expression as its author wrote it. */
export function sourceOf(node: hbs.AST.Node, env: Environment): string {
  const { start, end } = node.loc
  const lines = env.file.text.split('\n').slice(start.line - 1, end.line)
  if (lines.length === 0) return ''
  lines[lines.length - 1] = lines.at(-1)?.slice(0, end.column) ?? ''
  lines[0] = lines[0]?.slice(start.column) ?? ''
  return (lines.join(' ').match(/^\{\{.*?\}\}+/)?.[0] ?? lines.join(' ')).slice(0, 200)
}
