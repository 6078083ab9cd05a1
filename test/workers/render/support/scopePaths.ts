import type { Choices } from './choices.js'
import { FIELDS, type Kind } from './scopeData.js'

const VARIABLES = ['index', 'key', 'first', 'last', 'locale', 'absent']

/** The meanings of names at one place of a template. */
export interface Place {
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

export interface File {
  kind: Kind
  takesBlock: boolean
  /** It calls whatever inline partials it is given. */
  callsInline: boolean
}

/** Writes what a template says of the data where names mean what a place says. */
export class PathWriter {
  #count = 0

  constructor(private readonly choose: Choices) {}

  /** Words differ, so that it shows which branch was taken. */
  word(): string {
    return `w${this.#count++}${this.choose.one('', ' ', '\n', '\n  ')}`
  }

  /** A path to a value of one of these kinds, with the kind it leads to. */
  path(place: Place, wanted: (kind: Kind) => boolean): { path: string; kind: Kind } {
    const found: { path: string; kind: Kind }[] = []
    const add = (path: string, kind: Kind) => {
      if (wanted(kind)) found.push({ path, kind })
    }
    for (const [up, kind] of place.levels.entries()) {
      const prefix = '../'.repeat(up)
      add(up === 0 ? this.choose.one('this', '.') : prefix.slice(0, -1), kind)
      for (const [name, field] of Object.entries(FIELDS[kind] ?? {})) {
        const isTaken = place.parameters.has(name) || place.avoided.has(name)
        add(up > 0 ? prefix + name : isTaken ? `${this.choose.one('this.', './')}${name}` : name, field)
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
    if (found.length === 0 || this.choose.chance(1))
      return { path: this.choose.one('absent', '../absent', 'this.x'), kind: 'maybe' }
    const parameters = found.filter(({ path }) => place.parameters.has(path.split('.')[0] ?? ''))
    return this.choose.one(...(parameters.length > 0 && this.choose.chance(40) ? parameters : found))
  }

  variable(place: Place): string {
    const up = this.choose.one('', '', '', '../', '../../')
    const name = this.choose.one(...VARIABLES)
    return up === '' && place.avoided.has(name) ? '@absent' : `@${up}${name}`
  }

  value(place: Place): string {
    const { path } = this.path(place, (kind) => kind === 'text' || kind === 'maybe')
    switch (this.choose.number(0, 9)) {
      case 0:
        return `{{${this.variable(place)}}}`
      case 1:
        return `{{{${path}}}}`
      case 2:
        return `{{~${path}~}}`
      case 3:
        return `{{default ${path} ${this.variable(place)} "none"}}`
      case 4:
        return `{{lookup ${this.path(place, (kind) => kind === 'pair').path} ${this.choose.one('"a"', '"x"')}}}`
      default:
        return `{{${path}}}`
    }
  }

  test(place: Place): string {
    const { path } = this.path(place, () => true)
    const other = this.path(place, (kind) => kind === 'text').path
    return this.choose.one(
      path,
      path,
      path,
      this.variable(place),
      `(eq ${path} ${other})`,
      `(not ${path})`,
      'absent',
      '../absent',
    )
  }
}
