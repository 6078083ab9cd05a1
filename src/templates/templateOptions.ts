import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { toJsonObject } from '../message/json.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { TemplateSetup } from '../protocol/templateManifest.js'
import { SCRIPT_SCHEMES } from '../protocol/urlSchemes.js'
import { type Validator, kindOf } from '../validation.js'

export interface TemplateOptions {
  /** Path of the template folder. */
  dir: string
  /** Values that every template can read as `@app`. @default none */
  globals?: JsonObject
  /**
   * Path or file URL of an ES module that exports `setup(thread)`. It runs once in each thread before the first message, and
   * may register helpers and open the resources that they need.
   * @default none
   */
  setup?: string | URL
  /** Path or file URL of an ES module whose named exports are helpers, in addition to the folder's `helpers.js`. @default none */
  helpers?: string | URL
  /**
   * Schemes that URLs from data may have, without the colon. A scheme that is written in the template, as in
   * `href="myapp://reset?token={{token}}"`, is always allowed; schemes that run scripts can't be. Data with another scheme is
   * refused, at `send()` where possible.
   * @default ['http', 'https', 'mailto', 'tel']
   */
  urlSchemes?: readonly string[]
}

/** The template options that {@link Mailer.reload} accepts. Omitted ones stay unchanged. */
export type TemplateReload = Omit<TemplateOptions, 'dir'>

const RELOADABLE = ['globals', 'setup', 'helpers', 'urlSchemes'] as const
const MAX_SCHEMES = 100

export function resolveTemplates(check: Validator, value: unknown): TemplateSetup {
  if (typeof value === 'string') return { dir: value, globals: {} }
  const { dir, ...rest } = check.object(value, 'templates', ['dir', ...RELOADABLE])
  return applyTemplateReload(check, { dir: check.string(dir, 'templates.dir'), globals: {} }, rest)
}

/** Returns the templates with the change applied. */
export function applyTemplateReload(
  check: Validator,
  current: TemplateSetup,
  change: unknown,
): TemplateSetup {
  const { globals, setup, helpers, urlSchemes } = check.object(change, 'templates', RELOADABLE)
  return {
    ...current,
    ...(globals === undefined ? {} : { globals: toJsonObject(globals, 'templates.globals', check) }),
    ...(setup === undefined ? {} : { setup: moduleOf(check, setup, 'templates.setup') }),
    ...(helpers === undefined ? {} : { helpers: moduleOf(check, helpers, 'templates.helpers') }),
    ...(urlSchemes === undefined ? {} : { urlSchemes: urlSchemesOf(check, urlSchemes) }),
  }
}

function urlSchemesOf(check: Validator, value: unknown): string[] {
  return check.array(value, 'templates.urlSchemes', MAX_SCHEMES).map((each, index) => {
    const at = `templates.urlSchemes[${index}]`
    const scheme = check.string(each, at, 50).toLowerCase()
    if (!/^[a-z][a-z0-9+.-]*$/.test(scheme))
      check.fail(at, `must be a scheme without the colon, such as 'https' (RFC 3986 section 3.1)`)
    if (SCRIPT_SCHEMES.has(scheme)) check.fail(at, `'${scheme}' runs scripts, so data can't have it`)
    return scheme
  })
}

function moduleOf(check: Validator, value: unknown, at: string): string {
  // By its tag, because test runners have a URL class of their own.
  const isUrl = Object.prototype.toString.call(value) === '[object URL]'
  const url = isUrl ? (value as URL).href : value
  if (typeof url !== 'string') check.fail(at, `must be a path or a file URL, got ${kindOf(value)}`)
  if (url.startsWith('file:')) return URL.canParse(url) ? url : check.fail(at, 'is not a file URL')
  if (isUrl) check.fail(at, 'must be a file URL')
  return pathToFileURL(path.resolve(url)).href
}
