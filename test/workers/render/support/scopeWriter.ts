import fc from 'fast-check'
import type { Generated } from './generator.js'

/** A kind of value in the data below: an object with fields, a list of one kind, or a plain value. */
type Kind =
  | 'root'
  | 'customer'
  | 'order'
  | 'pair'
  | 'node'
  | 'text'
  | 'maybe'
  | `${'customer' | 'order' | 'node' | 'text' | 'maybe'}s`

const FIELDS: Partial<Record<Kind, Record<string, Kind>>> = {
  root: {
    title: 'text',
    x: 'text',
    name: 'text',
    pair: 'pair',
    customers: 'customers',
    names: 'texts',
    one: 'texts',
    odd: 'maybes',
    tree: 'node',
    empty: 'texts',
    flag: 'maybe',
  },
  customer: { name: 'text', x: 'maybe', orders: 'orders', pair: 'pair', tags: 'texts' },
  order: { name: 'text', v: 'maybe', x: 'text', lines: 'texts', odd: 'maybes', pair: 'pair' },
  pair: { a: 'text', b: 'maybe', x: 'text' },
  node: { name: 'text', kids: 'nodes', x: 'text' },
}
const ITEM: Partial<Record<Kind, Kind>> = {
  customers: 'customer',
  orders: 'order',
  nodes: 'node',
  texts: 'text',
  maybes: 'maybe',
  // Over an object, each gives its fields.
  pair: 'maybe',
}
/** Some of them are also fields, variables and partials: a name means what is nearest. */
const PARAMETERS = ['x', 'name', 'item', 'index', 'key', 'pair', 'first', 'lines', 'in0']
/** The first is also the name of a file. */
const INLINE = ['both', 'in0', 'in1', 'in2']
const VARIABLES = ['index', 'key', 'first', 'last', 'locale', 'absent']

const word = fc.constantFrom('', 'Ada', 'o', '0', 'a,b', '<b>', 'two\nlines', 'x=1 & "y"', '[object Object]')
const maybe = fc.constantFrom<unknown>(null, '', 0, 1, false, true, 'm', 'o', [], ['o'], { a: 'A' })
const plain = { noNullPrototype: true } as const
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 })
const pair = fc.record({ a: word, b: maybe, x: word }, plain)
const order = fc.record({ name: word, v: maybe, x: word, lines: some(word), odd: some(maybe), pair }, plain)
const customer = fc.record({ name: word, x: maybe, orders: some(order), pair, tags: some(word) }, plain)
const { node } = fc.letrec((tie) => ({
  kids: fc.array(tie('node'), { maxLength: 2, depthIdentifier: 'node' }),
  node: fc.record(
    {
      name: word,
      x: word,
      kids: fc.oneof({ maxDepth: 2, depthIdentifier: 'node' }, fc.constant([]), tie('kids')),
    },
    plain,
  ),
}))

/** All that a generated template asks for, except that now and then a field is absent. */
export const scopeData: fc.Arbitrary<Record<string, unknown>> = fc
  .record(
    {
      title: word,
      x: word,
      name: word,
      pair,
      customers: some(customer),
      names: some(word),
      one: fc.array(word, { minLength: 1, maxLength: 1 }),
      odd: some(maybe),
      tree: node,
      empty: fc.constant([]),
      flag: maybe,
      file: fc.constantFrom('both', 'in0'),
    },
    plain,
  )
  .chain((whole) =>
    fc.option(fc.constantFrom(...Object.keys(whole)), { freq: 8 }).map((dropped) => {
      if (dropped === null) return whole
      const { [dropped]: _, ...rest } = whole as Record<string, unknown>
      return rest
    }),
  )

/** What names mean where something is written. */
interface Place {
  /** The kind of the context, and of those that `../` reaches. */
  levels: readonly Kind[]
  parameters: ReadonlyMap<string, Kind>
  /** Block parameters around an inline partial, for which Handlebars counts wrong: they are not named in it. */
  avoided: ReadonlySet<string>
  /** Inline partials that can be called here, by the kind of the context they are written for. */
  inline: ReadonlyMap<string, Kind>
  /** In an inline partial: its place among INLINE. It calls only those before it, so that none calls itself. */
  rank: number
  /** The file that is being written. */
  file: File
}

interface File {
  kind: Kind
  takesBlock: boolean
  /** It calls whatever inline partials it is given. */
  callsInline: boolean
}

/** Writes templates that hold no MJML: every way to open a scope, inside every other. */
export class ScopeWriter {
  readonly #files = new Map<string, File>()
  #budget = 8
  #count = 0
  #words = 0

  constructor(
    private readonly pick: <T>(arbitrary: fc.Arbitrary<T>) => T,
    /** Where the partials are written to. */
    private readonly partials: Record<string, string>,
  ) {
    partials['both'] = 'file {{@index}}'
  }

  /** What a template says where its context is the root of the data. Several of them share their partials. */
  words(): string {
    return this.#program(this.#inFile({ kind: 'root', takesBlock: false, callsInline: false }))
  }

  #inFile(file: File): Place {
    const [parameters, inline] = [new Map(), new Map()]
    return { levels: [file.kind], parameters, avoided: new Set(), inline, rank: INLINE.length, file }
  }

  #one<T>(...of: readonly T[]): T {
    return this.pick(fc.constantFrom(...of))
  }

  #chance(percent: number): boolean {
    return this.pick(fc.integer({ min: 1, max: 100 })) <= percent
  }

  /** Words differ, so that it shows which branch was taken. */
  #word(): string {
    return `w${this.#words++}${this.#one('', ' ', '\n', '\n  ')}`
  }

  #program(place: Place): string {
    const defined =
      this.#budget > 2 && this.#chance(12) ? this.#definitions(place, place.levels.slice(1)) : undefined
    const inside = defined?.place ?? place
    const parts = Array.from({ length: this.pick(fc.integer({ min: 1, max: 3 })) }, () =>
      this.#statement(inside),
    )
    if (defined !== undefined) parts.splice(this.#one(0, parts.length), 0, defined.source)
    return parts.join(this.#one('', ' ', '\n', '|'))
  }

  #statement(place: Place): string {
    if (this.#budget <= 0) return this.#chance(70) ? this.#value(place) : this.#word()
    const roll = this.pick(fc.integer({ min: 0, max: 19 }))
    if (roll < 4) return this.#value(place)
    if (roll < 5) return this.#word()
    this.#budget--
    if (roll < 8) return this.#each(place)
    if (roll < 10) return this.#condition(place)
    if (roll < 12) return this.#with(place)
    if (roll < 14) return this.#section(place)
    if (roll < 15) return this.#inverse(place)
    return this.#partial(place)
  }

  // Expressions

  /** A path to a value of one of these kinds, with the kind it leads to. */
  #path(place: Place, wanted: (kind: Kind) => boolean): { path: string; kind: Kind } {
    const found: { path: string; kind: Kind }[] = []
    const add = (path: string, kind: Kind) => {
      if (wanted(kind)) found.push({ path, kind })
    }
    for (const [up, kind] of place.levels.entries()) {
      const prefix = '../'.repeat(up)
      add(up === 0 ? this.#one('this', '.') : prefix.slice(0, -1), kind)
      for (const [name, field] of Object.entries(FIELDS[kind] ?? {})) {
        const isTaken = place.parameters.has(name) || place.avoided.has(name)
        add(up > 0 ? prefix + name : isTaken ? `${this.#one('this.', './')}${name}` : name, field)
        for (const [deeper, at] of Object.entries(FIELDS[field] ?? {}))
          if (up > 0 || !isTaken) add(`${prefix}${name}.${deeper}`, at)
      }
    }
    for (const [name, kind] of place.parameters) {
      add(name, kind)
      for (const [field, at] of Object.entries(FIELDS[kind] ?? {})) add(`${name}.${field}`, at)
    }
    for (const [name, kind] of Object.entries(FIELDS.root ?? {}))
      if (!place.avoided.has('root')) add(`@root.${name}`, kind)
    // Once in a while a path that may lead nowhere.
    if (found.length === 0 || this.#chance(1))
      return { path: this.#one('absent', '../absent', 'this.x'), kind: 'maybe' }
    const parameters = found.filter(({ path }) => place.parameters.has(path.split('.')[0] ?? ''))
    return this.#one(...(parameters.length > 0 && this.#chance(40) ? parameters : found))
  }

  #variable(place: Place): string {
    const up = this.#one('', '', '', '../', '../../')
    const name = this.#one(...VARIABLES)
    return up === '' && place.avoided.has(name) ? '@absent' : `@${up}${name}`
  }

  #value(place: Place): string {
    const { path } = this.#path(place, (kind) => kind === 'text' || kind === 'maybe')
    switch (this.pick(fc.integer({ min: 0, max: 9 }))) {
      case 0:
        return `{{${this.#variable(place)}}}`
      case 1:
        return `{{{${path}}}}`
      case 2:
        return `{{~${path}~}}`
      case 3:
        return `{{default ${path} ${this.#variable(place)} "none"}}`
      case 4:
        return `{{lookup ${this.#path(place, (kind) => kind === 'pair').path} ${this.#one('"a"', '"x"')}}}`
      default:
        return `{{${path}}}`
    }
  }

  #test(place: Place): string {
    const { path } = this.#path(place, () => true)
    const other = this.#path(place, (kind) => kind === 'text').path
    return this.#one(
      path,
      path,
      path,
      this.#variable(place),
      `(eq ${path} ${other})`,
      `(not ${path})`,
      'absent',
      '../absent',
    )
  }

  // Blocks

  #enter(place: Place, kind: Kind, names: readonly [string, Kind][] = []): Place {
    const parameters = new Map([...place.parameters, ...names])
    return { ...place, levels: [kind, ...place.levels], parameters }
  }

  /** Up to two parameters: their declaration, and what they are. */
  #parameters(first: Kind, second: Kind | undefined): { written: string; names: [string, Kind][] } {
    if (!this.#chance(60)) return { written: '', names: [] }
    const kinds = second !== undefined && this.#chance(50) ? [first, second] : [first]
    const names: [string, Kind][] = []
    for (const kind of kinds) {
      const name = this.#one(...PARAMETERS)
      if (!names.some(([known]) => known === name)) names.push([name, kind])
    }
    return { written: ` as |${names.map(([name]) => name).join(' ')}|`, names }
  }

  /** The inverse of a block: nothing, an else, or a chain of further blocks. */
  #otherwise(place: Place, depth = 0): string {
    if (!this.#chance(55)) return ''
    if (depth > 2 || !this.#chance(50))
      return `{{${this.#one('else', '^', '~else~')}}}${this.#program(place)}`
    const { body, open } = this.#opening(place)
    return `{{else ${open}}}${body}${this.#otherwise(place, depth + 1)}`
  }

  /** What stands after `{{#` or `{{else `, and the body that belongs to it. */
  #opening(place: Place): { open: string; body: string; close: string } {
    switch (this.#one('if', 'unless', 'each', 'with', 'section', 'eq')) {
      case 'each': {
        const { path, kind } = this.#path(place, (at) => ITEM[at] !== undefined)
        const item = ITEM[kind] ?? 'maybe'
        const { written, names } = this.#parameters(item, 'text')
        const open = `each ${path}${written}`
        return { open, body: this.#program(this.#enter(place, item, names)), close: 'each' }
      }
      case 'with': {
        const { path, kind } = this.#path(place, () => true)
        const { written, names } = this.#parameters(kind, undefined)
        return {
          open: `with ${path}${written}`,
          body: this.#program(this.#enter(place, kind, names)),
          close: 'with',
        }
      }
      case 'section': {
        const { path, kind } = this.#path(place, (at) => at !== 'maybe')
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
        const [left, right] = [this.#path(place, () => true).path, this.#path(place, () => true).path]
        return { open: `eq ${left} ${right}`, body: this.#program(place), close: 'eq' }
      }
      case 'unless':
        return { open: `unless ${this.#test(place)}`, body: this.#program(place), close: 'unless' }
      default:
        return { open: `if ${this.#test(place)}`, body: this.#program(place), close: 'if' }
    }
  }

  #block({ open, body, close }: { open: string; body: string; close: string }, place: Place): string {
    return `{{#${open}}}${body}${this.#otherwise(place)}{{/${close}}}`
  }

  #each(place: Place): string {
    const { path, kind } = this.#path(place, (at) => ITEM[at] !== undefined)
    const item = ITEM[kind] ?? 'maybe'
    const { written, names } = this.#parameters(item, 'text')
    const body = this.#program(this.#enter(place, item, names))
    return this.#block({ open: `each ${path}${written}`, body, close: 'each' }, place)
  }

  #with(place: Place): string {
    const { path, kind } = this.#path(place, (at) => at !== 'text')
    const { written, names } = this.#parameters(kind, undefined)
    const body = this.#program(this.#enter(place, kind, names))
    return this.#block({ open: `with ${path}${written}`, body, close: 'with' }, place)
  }

  #section(place: Place): string {
    return this.#block(this.#opening(place), place)
  }

  #condition(place: Place): string {
    const zero = this.#chance(15) ? ' includeZero=true' : ''
    return this.#block(
      { open: `if ${this.#test(place)}${zero}`, body: this.#program(place), close: 'if' },
      place,
    )
  }

  /** `{{^x}}…{{else}}…{{/x}}` */
  #inverse(place: Place): string {
    const { path, kind } = this.#path(place, () => true)
    const inner = this.#enter(place, ITEM[kind] ?? kind)
    const [open, close, body] = this.#one(
      [path, path, () => this.#program(inner)],
      [`each ${path}`, 'each', () => this.#program(inner)],
      [`if ${path}`, 'if', () => this.#program(place)],
    )
    const otherwise = this.#chance(50) ? `{{else}}${body()}` : ''
    return `{{^${open}}}${this.#program(place)}${otherwise}{{/${close}}}`
  }

  // Partials

  /** Inline partials, and where they can be called. `outer`: the contexts around the program they stand in. */
  #definitions(place: Place, outer: readonly Kind[]): { source: string; place: Place } {
    const inline = new Map(place.inline)
    const avoided = new Set([...place.avoided, ...place.parameters.keys()])
    const names = new Set(Array.from({ length: this.#one(1, 1, 2) }, () => this.#one(...INLINE)))
    let source = ''
    for (const name of names) {
      const kind = this.#one<Kind>(place.levels[0] ?? 'root', 'pair', 'order', 'text')
      inline.set(name, kind)
      const rank = Math.min(place.rank, INLINE.indexOf(name))
      const inner: Place = { ...place, levels: [kind, ...outer], parameters: new Map(), avoided, rank }
      source += `{{#*inline "${name}"}}${this.#program(inner)}{{/inline}}`
    }
    return { source, place: { ...place, inline } }
  }

  #partial(place: Place): string {
    const roll = this.pick(fc.integer({ min: 0, max: 9 }))
    if (roll < 3) return this.#partialBlock(place)
    if (roll < 4) return this.#missing(place)
    if (roll < 5) return this.#recursive(place)
    if (roll < 6)
      return this.#call(place, this.#one('both', '(lookup @root "file")'), place.levels[0] ?? 'root', false)
    const callable = INLINE.slice(0, place.rank)
    if (roll < 8 && callable.length > 0) {
      const name = this.#one(...callable)
      const kind = place.inline.get(name)
      // It is known in this file, or it may be given to it: then with what is shown instead.
      if (kind === undefined) place.file.callsInline = true
      return this.#call(place, name, kind ?? place.levels[0] ?? 'root', kind === undefined)
    }
    const known = [...this.#files].filter(([, file]) => place.rank === INLINE.length || !file.callsInline)
    if (known.length > 0 && this.#chance(40)) {
      const [name, file] = this.#one(...known)
      return this.#callFile(place, name, file)
    }
    return this.#newFile(place)
  }

  #newFile(place: Place): string {
    const name = `file${this.#count++}`
    const kind = this.#chance(50)
      ? (place.levels[0] ?? 'root')
      : this.#one<Kind>('customer', 'order', 'pair', 'root', 'text')
    const file = { kind, takesBlock: this.#chance(50), callsInline: false }
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
    if (takesBlock || (this.#chance(20) && !name.startsWith('('))) {
      const defined = this.#chance(25) ? this.#definitions(place, place.levels) : undefined
      // The block is a program of its own, evaluated in the context that the partial calls it with.
      const inside = { ...place, levels: [kind, ...place.levels] }
      return `{{#> ${name}${given}}}${this.#word()}${defined?.source ?? ''}${this.#program(inside)}{{/${name}}}`
    }
    const called = this.#chance(15) && !name.startsWith('(') ? `(default absent "${name}")` : name
    return this.#one(`{{> ${called}${given}}}`, `\n  {{> ${called}${given}}}\n`)
  }

  #arguments(place: Place, kind: Kind): string {
    const isHere = place.levels[0] === kind
    const context = isHere && this.#chance(60) ? '' : ` ${this.#path(place, (at) => at === kind).path}`
    const name = this.#one('x', 'name', 'absent')
    const hash = this.#chance(35) ? ` ${name}=${this.#path(place, () => true).path}` : ''
    const more = this.#chance(10) ? ` v=${this.#variable(place)}` : ''
    return context + hash + more
  }

  #partialBlock(place: Place): string {
    const given = this.#chance(50) ? '' : this.#arguments(place, place.levels[0] ?? 'root')
    const isGiven = place.file.takesBlock && place.rank === INLINE.length
    return this.#one(
      ...(isGiven ? [`{{> @partial-block${given}}}`, `\n    {{> @partial-block${given}}}\n`] : []),
      `{{#> @partial-block${given}}}${this.#word()}{{/@partial-block}}`,
      `{{#if @partial-block}}{{> @partial-block${given}}}{{else}}${this.#word()}{{/if}}`,
      `{{#unless @partial-block}}${this.#word()}{{else}}{{#each @root.names}}{{> @partial-block${given}}}{{/each}}{{/unless}}`,
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
      const calls = this.#one(
        '{{#each kids}}{{> tree}}{{/each}}',
        '{{#each kids as |x|}}{{> tree x}}{{else}}{{name}}{{/each}}',
      )
      this.partials['tree'] = `<${this.#program(inside)}${calls}>`
    }
    if (this.partials['tree'] === '') return this.#word()
    return `{{> tree ${this.#path(place, (kind) => kind === 'node').path}}}`
  }
}

/** Writes one template that holds no MJML, with what `fc.gen()` gives to choose with. */
export function generateScopes(generate: fc.GeneratorValue): Generated {
  const partials: Record<string, string> = {}
  const writer = new ScopeWriter((arbitrary) => generate(() => arbitrary), partials)
  return { source: writer.words(), partials }
}
