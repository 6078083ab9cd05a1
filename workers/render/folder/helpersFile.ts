import { statSync } from 'node:fs'
import path from 'node:path'
import { whileLoading } from '../../heartbeat.js'
import type { Helper } from '../bind/helperCall.js'
import { TemplateFailure } from '../template/source.js'

const HANDLEBARS_BLOCKS = new Set(['if', 'unless', 'each', 'with'])

/** The project's own helpers: each named export that is a function. @throws TemplateFailure */
export async function loadHelpers(url: URL): Promise<Map<string, Helper>> {
  const file = path.posix.basename(url.pathname)
  const module = await loadModule(url).catch((error: unknown) => {
    throw new TemplateFailure('TEMPLATE_ERROR', `${file} can't be loaded: ${(error as Error).message}`, {
      location: { file },
    })
  })
  const helpers = new Map<string, Helper>()
  for (const [name, value] of Object.entries(module)) {
    if (name === 'default') continue
    if (typeof value === 'function') helpers.set(name, value as Helper)
    try {
      checkHelperName(name)
    } catch (error) {
      throw new TemplateFailure('TEMPLATE_ERROR', `${file}: ${(error as Error).message}`)
    }
  }
  return helpers
}

/** A module is loaded once for each address: a changed file needs another one. */
export async function loadModule(url: URL): Promise<Record<string, unknown>> {
  const address = new URL(url)
  address.searchParams.set('changed', String(statSync(url).mtimeMs))
  return (await whileLoading(() => import(address.href))) as Record<string, unknown>
}

export function checkHelperName(name: string): void {
  if (HANDLEBARS_BLOCKS.has(name))
    throw new Error(`'${name}' is a block of Handlebars' own; call the helper otherwise`)
}
