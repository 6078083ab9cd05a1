import type { SourceLocation } from '../../../src/errors.js'
import type { Place } from './tree.js'

/** One file of the template folder, or an ad-hoc source. */
export interface SourceFile {
  /** Path relative to the template folder, with forward slashes, as shown in messages. */
  name: string
  text: string
  /** Absolute path, of a source that a compiler reads itself. */
  path?: string
}

const MAX_EXCERPT = 200

const lines = new WeakMap<SourceFile, string[]>()

/** Returns the lines of a file. Every expression has a place, so they are split once. */
export function linesOf(file: SourceFile): readonly string[] {
  const known = lines.get(file) ?? file.text.split('\n')
  lines.set(file, known)
  return known
}

/** Returns a place, by line and column from 1, with an excerpt of the line. */
export function placeAt(file: SourceFile, line: number, column: number): Place {
  const excerpt = linesOf(file)[line - 1] ?? ''
  return { file: file.name, line, column, excerpt: excerpt.replace(/\r$/, '').slice(0, MAX_EXCERPT) }
}

/** Returns the place `offset` characters into a text that begins at `start`. */
export function placeWithin(file: SourceFile, start: Place, text: string, offset: number): Place {
  const before = text.slice(0, offset)
  const breaks = before.split('\n').length - 1
  const column = breaks === 0 ? start.column + offset : offset - before.lastIndexOf('\n')
  return placeAt(file, start.line + breaks, column)
}

/** Returns `file:line:column`, which editors and terminals link. */
export function describePlace(place: Place): string {
  return `${place.file}:${place.line}:${place.column}`
}

/** A template can't be rendered. Becomes a rejected outcome with the place in the source. */
export class TemplateFailure extends Error {
  constructor(
    readonly code: 'TEMPLATE_ERROR' | 'MISSING_DATA' | 'UNKNOWN_TEMPLATE',
    message: string,
    readonly details: { location?: SourceLocation; missing?: string[] } = {},
  ) {
    super(message)
  }
}

export function nestedTooDeeply(): TemplateFailure {
  return new TemplateFailure('TEMPLATE_ERROR', 'The template, with its data, nests elements too deeply.')
}
