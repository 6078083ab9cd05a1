/**
 * The one door to Handlebars: its parser. It is given source strings only, never a tree from outside, and it is
 * loaded when something has to be parsed: a template that was compiled ahead needs none of it.
 */
import { createRequire } from 'node:module'
import type HandlebarsModule from 'handlebars'

type Handlebars = typeof HandlebarsModule

const require = createRequire(import.meta.url)
let handlebars: Handlebars | undefined

/** @throws an Error of Handlebars' for a syntax error. */
export function parseHandlebars(source: string): hbs.AST.Program {
  handlebars ??= require('handlebars') as Handlebars
  return handlebars.parse(source)
}
