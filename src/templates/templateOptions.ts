import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { toJsonObject } from '../message/json.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { TemplateSetup } from '../protocol/templateManifest.js'
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
}

/** The template options that {@link Mailer.reload} accepts. Omitted ones stay unchanged. */
export type TemplateReload = Omit<TemplateOptions, 'dir'>

export function resolveTemplates(check: Validator, value: unknown): TemplateSetup {
  if (typeof value === 'string') return { dir: value, globals: {} }
  const { dir, ...rest } = check.object(value, 'templates', ['dir', 'globals', 'setup', 'helpers'])
  return applyTemplateReload(check, { dir: check.string(dir, 'templates.dir'), globals: {} }, rest)
}

/** Returns the templates with the change applied. */
export function applyTemplateReload(
  check: Validator,
  current: TemplateSetup,
  change: unknown,
): TemplateSetup {
  const { globals, setup, helpers } = check.object(change, 'templates', ['globals', 'setup', 'helpers'])
  return {
    ...current,
    ...(globals === undefined ? {} : { globals: toJsonObject(globals, 'templates.globals', check) }),
    ...(setup === undefined ? {} : { setup: moduleOf(check, setup, 'templates.setup') }),
    ...(helpers === undefined ? {} : { helpers: moduleOf(check, helpers, 'templates.helpers') }),
  }
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
