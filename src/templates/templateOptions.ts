import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { toJsonObject } from '../message/json.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { TemplateSetup } from '../protocol/templateManifest.js'
import { type Validator, kindOf } from '../validation.js'

export interface TemplateOptions {
  /** The folder. */
  dir: string
  /** Values every template can read as `@app`. @default none */
  globals?: JsonObject
  /**
   * Path or file URL of an ES module that exports `setup(thread)`, run once in each thread before its first mail. It may
   * register helpers and open what they need.
   * @default none
   */
  setup?: string | URL
  /** Path or file URL of an ES module whose named exports are helpers, beside the folder's own `helpers.js`. @default none */
  helpers?: string | URL
}

/** What {@link Mailer.reload} takes for the templates: what is left out stays as it is. */
export type TemplateReload = Omit<TemplateOptions, 'dir'>

export function resolveTemplates(check: Validator, value: unknown): TemplateSetup {
  if (typeof value === 'string') return { dir: value, globals: {} }
  const { dir, ...rest } = check.object(value, 'templates', ['dir', 'globals', 'setup', 'helpers'])
  return applyTemplateReload(check, { dir: check.string(dir, 'templates.dir'), globals: {} }, rest)
}

/** @returns the templates as they are with the change */
export function applyTemplateReload(check: Validator, now: TemplateSetup, change: unknown): TemplateSetup {
  const { globals, setup, helpers } = check.object(change, 'templates', ['globals', 'setup', 'helpers'])
  return {
    ...now,
    ...(globals === undefined ? {} : { globals: toJsonObject(globals, 'templates.globals', check) }),
    ...(setup === undefined ? {} : { setup: moduleOf(check, setup, 'templates.setup') }),
    ...(helpers === undefined ? {} : { helpers: moduleOf(check, helpers, 'templates.helpers') }),
  }
}

function moduleOf(check: Validator, value: unknown, at: string): string {
  const url = value instanceof URL ? value.href : value
  if (typeof url !== 'string') check.fail(at, `must be a path or a file URL, got ${kindOf(value)}`)
  if (url.startsWith('file:')) return URL.canParse(url) ? url : check.fail(at, 'is not a file URL')
  if (value instanceof URL) check.fail(at, 'must be a file URL')
  return pathToFileURL(path.resolve(url)).href
}
