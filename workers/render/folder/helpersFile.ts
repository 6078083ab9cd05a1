import { statSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { Helper } from '../bind/helperCall.js'
import { TemplateFailure } from '../failure.js'

const HANDLEBARS_BLOCKS = new Set(['if', 'unless', 'each', 'with'])

/** The project's own helpers: each named export that is a function. @throws TemplateFailure */
export async function loadHelpers(file: string): Promise<Map<string, Helper>> {
  const url = pathToFileURL(file)
  // A module is loaded once for each address: a changed file needs another one.
  url.searchParams.set('changed', String(statSync(file).mtimeMs))
  const module = await import(url.href).then(
    (loaded: unknown) => loaded as Record<string, unknown>,
    (error: unknown) => {
      throw new TemplateFailure('TEMPLATE_ERROR', `helpers.js can't be loaded: ${(error as Error).message}`, {
        location: { file: 'helpers.js' },
      })
    },
  )
  const helpers = new Map<string, Helper>()
  for (const [name, value] of Object.entries(module)) {
    if (name === 'default') continue
    if (typeof value === 'function') helpers.set(name, value as Helper)
    if (HANDLEBARS_BLOCKS.has(name))
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `helpers.js: '${name}' is a block of Handlebars' own; call the helper otherwise`,
      )
  }
  return helpers
}
