import { createRequire } from 'node:module'
import type HandlebarsModule from 'handlebars'
import { describePlace, placeAt, placeWithin, type SourceFile, TemplateFailure } from './sourceFile.js'
import type { Place } from './tree.js'

/**
 * The only importer of Handlebars, and only of its parser. The parser gets source strings, never a tree from outside. It
 * is loaded on first use, because templates compiled ahead of time don't need it.
 */

type Handlebars = typeof HandlebarsModule

const require = createRequire(import.meta.url)
let handlebars: Handlebars | undefined

/** @throws Error of Handlebars for a syntax error */
function parseHandlebars(source: string): hbs.AST.Program {
  handlebars ??= require('handlebars') as Handlebars
  return handlebars.parse(source)
}

/** Parses a source with Handlebars' own parser, which also applies its white space rules. */
export function parse(file: SourceFile): hbs.AST.Program {
  refuseDeepNesting(file)
  try {
    return parseHandlebars(file.text)
  } catch (error) {
    throw syntaxError(file, error as Error & { lineNumber?: number; column?: number })
  }
}

/** Deeper than a hand-written template goes. The time that Handlebars' parser takes grows with a power of the depth. */
const MAX_NESTING = 200
const NESTING = /\{\{!--|\{\{~?\s*(?:[#^]|\/|else\b\s*[^\s}~])|\{\{|\}\}|[()]/g

/** @throws TemplateFailure if blocks, chains of `else`, or expressions in parentheses are nested too deeply */
function refuseDeepNesting(file: SourceFile): void {
  const { text } = file
  /** The open blocks, each with the links of its chain. */
  const blocks: number[] = []
  let depth = 0
  /** Open parentheses of the expression; undefined in text. */
  let parentheses: number | undefined
  let behindComment = 0
  for (const { 0: found, index } of text.matchAll(NESTING)) {
    if (index < behindComment) continue
    if (found === '{{!--') {
      const end = text.indexOf('--}}', index)
      if (end < 0) return
      behindComment = end
    } else if (found === '(' || found === ')') {
      if (parentheses !== undefined) parentheses += found === '(' ? 1 : -1
    } else if (found === '}}') parentheses = undefined
    else {
      parentheses = 0
      const kind = found.at(-1)
      if (kind === '/') depth -= blocks.pop() ?? 0
      else if (found !== '{{') {
        depth++
        if (kind === '#' || kind === '^') blocks.push(1)
        else blocks.push((blocks.pop() ?? 0) + 1)
      }
    }
    if (Math.max(depth, parentheses ?? 0) > MAX_NESTING)
      throw templateError(
        `the template is nested deeper than ${MAX_NESTING} levels`,
        placeWithin(file, placeAt(file, 1, 1), text, index),
      )
  }
}

/** Returns the failure for an error at a place in a template. */
export function templateError(message: string, at: Place): TemplateFailure {
  return new TemplateFailure('TEMPLATE_ERROR', `${describePlace(at)}: ${message}`, { location: at })
}

/** Handlebars reports a grammar error as text only: "Parse error on line 3:", the text before it, and a pointer below. */
function syntaxError(
  file: SourceFile,
  error: Error & { lineNumber?: number; column?: number },
): TemplateFailure {
  if (error.lineNumber !== undefined) {
    const at = placeAt(file, error.lineNumber, (error.column ?? 0) + 1)
    return templateError(inAuthorsTerms(error.message.replace(/ - \d+:\d+$/, '')), at)
  }
  const [first = '', shown = '', pointer = '', expecting = ''] = error.message.split('\n')
  const line = Number(/line (\d+)/.exec(first)?.[1] ?? 1)
  const got = /got '([^']*)'/.exec(expecting)?.[1]
  const found = got === undefined ? 'unexpected character' : `unexpected ${TOKENS[got] ?? 'text'}`
  return templateError(`invalid Handlebars syntax (${found})`, findPlace(file, line, shown, pointer))
}

/** Finds the place of the error. The pointer counts from the start of the shown text, whose last 20 characters precede the error. */
function findPlace(file: SourceFile, line: number, shown: string, pointer: string): Place {
  const dashes = pointer.indexOf('^')
  const before = shown
    .replace(/^\.\.\./, '')
    .slice(0, Math.max(0, dashes - (shown.startsWith('...') ? 3 : 0)))
  const lines = file.text.split('\n')
  for (let at = line; at > 0 && at > line - 3; at--) {
    const start = lines[at - 1]?.indexOf(before.slice(-20)) ?? -1
    if (start >= 0 && before !== '') return placeAt(file, at, start + before.slice(-20).length + 1)
  }
  return placeAt(file, Math.min(line, lines.length), 1)
}

/** The tokens of Handlebars' parser, as an author knows them. */
const TOKENS: Record<string, string> = {
  EOF: 'end of the file: a block or an expression is not closed',
  INVALID: 'character',
  COMMENT: 'comment',
  CONTENT: 'text',
  OPEN: "'{{'",
  CLOSE: "'}}'",
  OPEN_UNESCAPED: "'{{{'",
  CLOSE_UNESCAPED: "'}}}'",
  OPEN_BLOCK: "'{{#'",
  OPEN_ENDBLOCK: "'{{/'",
  OPEN_INVERSE: "'{{^'",
  OPEN_INVERSE_CHAIN: "'{{else'",
  INVERSE: "'{{else}}'",
  OPEN_PARTIAL: "'{{>'",
  OPEN_PARTIAL_BLOCK: "'{{#>'",
  OPEN_RAW_BLOCK: "'{{{{'",
  CLOSE_RAW_BLOCK: "'}}}}'",
  END_RAW_BLOCK: "'{{{{/'",
  OPEN_SEXPR: "'('",
  CLOSE_SEXPR: "')'",
  OPEN_BLOCK_PARAMS: "'as |'",
  CLOSE_BLOCK_PARAMS: "'|'",
  ID: 'name',
  EQUALS: "'='",
  DATA: "'@'",
  SEP: "'.' or '/'",
  STRING: 'text in quotes',
  NUMBER: 'number',
  BOOLEAN: 'true or false',
  UNDEFINED: 'undefined',
  NULL: 'null',
}

function inAuthorsTerms(message: string): string {
  const [, open, close] = /^(\S+) doesn't match (\S+)$/.exec(message) ?? []
  return open === undefined ? message : `{{#${open}}} is closed by {{/${close}}}`
}
