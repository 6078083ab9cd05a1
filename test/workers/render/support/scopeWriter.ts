import type fc from 'fast-check'
import { Choices } from './choices.js'
import type { Generated } from './generator.js'
import { ITEM, type Kind } from './scopeData.js'
import { type File, PathWriter, type Place } from './scopePaths.js'

/** Some of them are also fields, variables and partials: a name means what is nearest. */
const PARAMETERS = ['x', 'name', 'item', 'index', 'key', 'pair', 'first', 'lines', 'in0']
/** The first is also the name of a file. */
const INLINE = ['both', 'in0', 'in1', 'in2']

/** Writes templates that hold no MJML: every way to open a scope, inside every other. */
export class ScopeWriter {
  readonly #files = new Map<string, File>()
  #budget = 8
  #count = 0
  readonly #say: PathWriter

  constructor(
    private readonly choose: Choices,
    /** Where the partials are written to. */
    private readonly partials: Record<string, string>,
  ) {
    this.#say = new PathWriter(choose)
    partials['both'] = 'file {{@index}}'
  }

  /** Returns the text of a template whose context is the root of the data. Several of them share their partials. */
  words(): string {
    return this.#program(this.#inFile({ kind: 'root', takesBlock: false, callsInline: false }))
  }

  #inFile(file: File): Place {
    const [parameters, inline] = [new Map(), new Map()]
    return { levels: [file.kind], parameters, avoided: new Set(), inline, rank: INLINE.length, file }
  }

  #program(place: Place): string {
    const defined =
      this.#budget > 2 && this.choose.chance(12) ? this.#definitions(place, place.levels.slice(1)) : undefined
    const inside = defined?.place ?? place
    const parts = Array.from({ length: this.choose.number(1, 3) }, () => this.#statement(inside))
    if (defined !== undefined) parts.splice(this.choose.one(0, parts.length), 0, defined.source)
    return parts.join(this.choose.one('', ' ', '\n', '|'))
  }

  #statement(place: Place): string {
    if (this.#budget <= 0) return this.choose.chance(70) ? this.#say.value(place) : this.#say.word()
    const roll = this.choose.number(0, 19)
    if (roll < 4) return this.#say.value(place)
    if (roll < 5) return this.#say.word()
    this.#budget--
    if (roll < 8) return this.#each(place)
    if (roll < 10) return this.#condition(place)
    if (roll < 12) return this.#with(place)
    if (roll < 14) return this.#section(place)
    if (roll < 15) return this.#inverse(place)
    return this.#partial(place)
  }

  #enter(place: Place, kind: Kind, names: readonly [string, Kind][] = []): Place {
    const parameters = new Map([...place.parameters, ...names])
    return { ...place, levels: [kind, ...place.levels], parameters }
  }

  /** Up to two parameters: their declaration, and what they are. */
  #parameters(first: Kind, second: Kind | undefined): { written: string; names: [string, Kind][] } {
    if (!this.choose.chance(60)) return { written: '', names: [] }
    const kinds = second !== undefined && this.choose.chance(50) ? [first, second] : [first]
    const names: [string, Kind][] = []
    for (const kind of kinds) {
      const name = this.choose.one(...PARAMETERS)
      if (!names.some(([known]) => known === name)) names.push([name, kind])
    }
    return { written: ` as |${names.map(([name]) => name).join(' ')}|`, names }
  }

  /** The inverse of a block: nothing, an else, or a chain of further blocks. */
  #otherwise(place: Place, depth = 0): string {
    if (!this.choose.chance(55)) return ''
    if (depth > 2 || !this.choose.chance(50))
      return `{{${this.choose.one('else', '^', '~else~')}}}${this.#program(place)}`
    const { body, open } = this.#opening(place)
    return `{{else ${open}}}${body}${this.#otherwise(place, depth + 1)}`
  }

  /** The expression after `{{#` or `{{else `, and the body that belongs to it. */
  #opening(place: Place): { open: string; body: string; close: string } {
    switch (this.choose.one('if', 'unless', 'each', 'with', 'section', 'eq')) {
      case 'each': {
        const { path, kind } = this.#say.path(place, (at) => ITEM[at] !== undefined)
        const item = ITEM[kind] ?? 'maybe'
        const { written, names } = this.#parameters(item, 'text')
        const open = `each ${path}${written}`
        return { open, body: this.#program(this.#enter(place, item, names)), close: 'each' }
      }
      case 'with': {
        const { path, kind } = this.#say.path(place, () => true)
        const { written, names } = this.#parameters(kind, undefined)
        return {
          open: `with ${path}${written}`,
          body: this.#program(this.#enter(place, kind, names)),
          close: 'with',
        }
      }
      case 'section': {
        const { path, kind } = this.#say.path(place, (at) => at !== 'maybe')
        const item = ITEM[kind]
        if (item === undefined || kind === 'pair')
          return { open: path, body: this.#program(this.#enter(place, kind)), close: path }
        const { written, names } = this.#parameters(item, 'text')
        return {
          open: `${path}${written}`,
          body: this.#program(this.#enter(place, item, names)),
          close: path,
        }
      }
      case 'eq': {
        const [left, right] = [this.#say.path(place, () => true).path, this.#say.path(place, () => true).path]
        return { open: `eq ${left} ${right}`, body: this.#program(place), close: 'eq' }
      }
      case 'unless':
        return { open: `unless ${this.#say.test(place)}`, body: this.#program(place), close: 'unless' }
      default:
        return { open: `if ${this.#say.test(place)}`, body: this.#program(place), close: 'if' }
    }
  }

  #block({ open, body, close }: { open: string; body: string; close: string }, place: Place): string {
    return `{{#${open}}}${body}${this.#otherwise(place)}{{/${close}}}`
  }

  #each(place: Place): string {
    const { path, kind } = this.#say.path(place, (at) => ITEM[at] !== undefined)
    const item = ITEM[kind] ?? 'maybe'
    const { written, names } = this.#parameters(item, 'text')
    const body = this.#program(this.#enter(place, item, names))
    return this.#block({ open: `each ${path}${written}`, body, close: 'each' }, place)
  }

  #with(place: Place): string {
    const { path, kind } = this.#say.path(place, (at) => at !== 'text')
    const { written, names } = this.#parameters(kind, undefined)
    const body = this.#program(this.#enter(place, kind, names))
    return this.#block({ open: `with ${path}${written}`, body, close: 'with' }, place)
  }

  #section(place: Place): string {
    return this.#block(this.#opening(place), place)
  }

  #condition(place: Place): string {
    const zero = this.choose.chance(15) ? ' includeZero=true' : ''
    return this.#block(
      { open: `if ${this.#say.test(place)}${zero}`, body: this.#program(place), close: 'if' },
      place,
    )
  }

  /** `{{^x}}…{{else}}…{{/x}}` */
  #inverse(place: Place): string {
    const { path, kind } = this.#say.path(place, () => true)
    const inner = this.#enter(place, ITEM[kind] ?? kind)
    const [open, close, body] = this.choose.one(
      [path, path, () => this.#program(inner)],
      [`each ${path}`, 'each', () => this.#program(inner)],
      [`if ${path}`, 'if', () => this.#program(place)],
    )
    const otherwise = this.choose.chance(50) ? `{{else}}${body()}` : ''
    return `{{^${open}}}${this.#program(place)}${otherwise}{{/${close}}}`
  }

  // Partials

  /** Inline partials, and where they can be called. `outer`: the contexts around the program they stand in. */
  #definitions(place: Place, outer: readonly Kind[]): { source: string; place: Place } {
    const inline = new Map(place.inline)
    const avoided = new Set([...place.avoided, ...place.parameters.keys()])
    const names = new Set(Array.from({ length: this.choose.one(1, 1, 2) }, () => this.choose.one(...INLINE)))
    let source = ''
    for (const name of names) {
      const kind = this.choose.one<Kind>(place.levels[0] ?? 'root', 'pair', 'order', 'text')
      inline.set(name, kind)
      const rank = Math.min(place.rank, INLINE.indexOf(name))
      const inner: Place = { ...place, levels: [kind, ...outer], parameters: new Map(), avoided, rank }
      source += `{{#*inline "${name}"}}${this.#program(inner)}{{/inline}}`
    }
    return { source, place: { ...place, inline } }
  }

  #partial(place: Place): string {
    const roll = this.choose.number(0, 9)
    if (roll < 3) return this.#partialBlock(place)
    if (roll < 4) return this.#missing(place)
    if (roll < 5) return this.#recursive(place)
    if (roll < 6) {
      place.file.callsInline = true
      return this.#call(
        place,
        this.choose.one('both', '(lookup @root "file")'),
        place.levels[0] ?? 'root',
        false,
      )
    }
    const callable = INLINE.slice(0, place.rank)
    if (roll < 8 && callable.length > 0) {
      const name = this.choose.one(...callable)
      const kind = place.inline.get(name)
      // It is known in this file, or it may be given to it: then with what is shown instead.
      if (kind === undefined) place.file.callsInline = true
      return this.#call(place, name, kind ?? place.levels[0] ?? 'root', kind === undefined)
    }
    const known = [...this.#files].filter(([, file]) => place.rank === INLINE.length || !file.callsInline)
    if (known.length > 0 && this.choose.chance(40)) {
      const [name, file] = this.choose.one(...known)
      return this.#callFile(place, name, file)
    }
    return this.#newFile(place)
  }

  #newFile(place: Place): string {
    const name = `file${this.#count++}`
    const kind = this.choose.chance(50)
      ? (place.levels[0] ?? 'root')
      : this.choose.one<Kind>('customer', 'order', 'pair', 'root', 'text')
    const file = { kind, takesBlock: this.choose.chance(50), callsInline: false }
    const inside = { ...this.#inFile(file), rank: place.rank }
    // It is known only when it is written, so that it does not call itself.
    this.partials[name] = this.#program(inside) + (file.takesBlock ? this.#partialBlock(inside) : '')
    this.#files.set(name, file)
    return this.#callFile(place, name, file)
  }

  #callFile(place: Place, name: string, file: File): string {
    if (file.callsInline) place.file.callsInline = true
    return this.#call(place, name, file.kind, file.takesBlock)
  }

  #call(place: Place, name: string, kind: Kind, takesBlock: boolean): string {
    const given = this.#arguments(place, kind)
    if (takesBlock || (this.choose.chance(20) && !name.startsWith('('))) {
      const defined = this.choose.chance(25) ? this.#definitions(place, place.levels) : undefined
      // The block is a program of its own, evaluated in the context that the partial calls it with.
      const inside = { ...place, levels: [kind, ...place.levels] }
      return `{{#> ${name}${given}}}${this.#say.word()}${defined?.source ?? ''}${this.#program(inside)}{{/${name}}}`
    }
    const called = this.choose.chance(15) && !name.startsWith('(') ? `(default absent "${name}")` : name
    return this.choose.one(`{{> ${called}${given}}}`, `\n  {{> ${called}${given}}}\n`)
  }

  #arguments(place: Place, kind: Kind): string {
    const isHere = place.levels[0] === kind
    const context =
      isHere && this.choose.chance(60) ? '' : ` ${this.#say.path(place, (at) => at === kind).path}`
    const name = this.choose.one('x', 'name', 'absent')
    const hash = this.choose.chance(35) ? ` ${name}=${this.#say.path(place, () => true).path}` : ''
    const more = this.choose.chance(10) ? ` v=${this.#say.variable(place)}` : ''
    return context + hash + more
  }

  #partialBlock(place: Place): string {
    const given = this.choose.chance(50) ? '' : this.#arguments(place, place.levels[0] ?? 'root')
    const isGiven = place.file.takesBlock && place.rank === INLINE.length
    return this.choose.one(
      ...(isGiven ? [`{{> @partial-block${given}}}`, `\n    {{> @partial-block${given}}}\n`] : []),
      `{{#> @partial-block${given}}}${this.#say.word()}{{/@partial-block}}`,
      `{{#if @partial-block}}{{> @partial-block${given}}}{{else}}${this.#say.word()}{{/if}}`,
      `{{#unless @partial-block}}${this.#say.word()}{{else}}{{#each @root.names}}{{> @partial-block${given}}}{{/each}}{{/unless}}`,
    )
  }

  /** A partial that isn't there, with what is shown instead. */
  #missing(place: Place): string {
    return `{{#> nowhere${this.#arguments(place, place.levels[0] ?? 'root')}}}${this.#program(place)}{{/nowhere}}`
  }

  /** A partial that calls itself while there is data. */
  #recursive(place: Place): string {
    if (this.partials['tree'] === undefined) {
      this.partials['tree'] = ''
      const file = { kind: 'node' as const, takesBlock: false, callsInline: false }
      const inside = { ...this.#inFile(file), rank: 0 }
      const calls = this.choose.one(
        '{{#each kids}}{{> tree}}{{/each}}',
        '{{#each kids as |x|}}{{> tree x}}{{else}}{{name}}{{/each}}',
      )
      this.partials['tree'] = `<${this.#program(inside)}${calls}>`
    }
    if (this.partials['tree'] === '') return this.#say.word()
    return `{{> tree ${this.#say.path(place, (kind) => kind === 'node').path}}}`
  }
}

/** Writes one template that holds no MJML, with what `fc.gen()` gives to choose with. */
export function generateScopes(generate: fc.GeneratorValue): Generated {
  const partials: Record<string, string> = {}
  const writer = new ScopeWriter(new Choices((arbitrary) => generate(() => arbitrary)), partials)
  return { source: writer.words(), partials }
}
