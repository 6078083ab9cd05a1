import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { JsonObject } from '../../src/protocol/tasks.js'
import type { TemplateSetup } from '../../src/protocol/templateManifest.js'
import { DEFAULT_URL_SCHEMES } from '../../src/protocol/urlSchemes.js'
import { whileLoading } from '../heartbeat.js'
import type { Helper } from './bind/helperCall.js'
import { TemplateFailure } from './template/sourceFile.js'

const HANDLEBARS_BLOCKS = new Set(['if', 'unless', 'each', 'with'])

/** Loads the project's own helpers: each named export that is a function. @throws TemplateFailure */
export async function loadHelpers(url: URL): Promise<Map<string, Helper>> {
  const file = path.posix.basename(url.pathname)
  const module = await loadModule(url).catch((error: unknown) => {
    throw new TemplateFailure('TEMPLATE_ERROR', `${file} can't be loaded: ${(error as Error).message}`, {
      location: { file },
    })
  })
  const helpers = new Map<string, Helper>()
  for (const [name, value] of Object.entries(namedExports(module))) {
    if (typeof value === 'function') helpers.set(name, value as Helper)
    try {
      checkHelperName(name)
    } catch (error) {
      throw new TemplateFailure('TEMPLATE_ERROR', `${file}: ${(error as Error).message}`)
    }
  }
  return helpers
}

/** Imports a module. Node caches modules by URL, so the URL contains the modification time of the file. */
export async function loadModule(url: URL): Promise<Record<string, unknown>> {
  const versioned = new URL(url)
  versioned.searchParams.set('changed', String(statSync(url).mtimeMs))
  try {
    return (await whileLoading(() => import(versioned.href))) as Record<string, unknown>
  } catch (error) {
    throw readAsCommonJs(url, error) ? new Error(renameAdvice(url.pathname), { cause: error }) : error
  }
}

/** Whether Node read an ES module as CommonJS, because the nearest package.json says `"type": "commonjs"`. */
function readAsCommonJs({ pathname }: URL, error: unknown): boolean {
  return (
    error instanceof SyntaxError &&
    pathname.endsWith('.js') &&
    /Unexpected token 'export'|Cannot use import statement|Cannot use 'import\.meta'/.test(error.message)
  )
}

/**
 * Whether Node will read an ES module as CommonJS. The module isn't run: it may open connections, which keep a command from
 * ending.
 */
export async function isModuleInCommonJs(file: { path: string; text: string }): Promise<boolean> {
  if (!file.path.endsWith('.js') || !/^(?:export\s|import\s*[\w{*'"])/m.test(file.text)) return false
  for (let folder = path.dirname(file.path); ; folder = path.dirname(folder)) {
    const manifest = await readFile(path.join(folder, 'package.json'), 'utf8').catch(() => undefined)
    if (manifest !== undefined) return /"type"\s*:\s*"commonjs"/.test(manifest)
    if (folder === path.dirname(folder)) return false
  }
}

export function renameAdvice(file: string): string {
  const name = path.posix.basename(file, '.js')
  return `it is an ES module in a CommonJS package; rename it to ${name}.mjs`
}

/** The named exports of a module. Of a CommonJS module, Node may find none; its exports are then those of the default export. */
export function namedExports({
  default: main,
  'module.exports': _commonJs,
  ...named
}: Record<string, unknown>): Record<string, unknown> {
  return Object.keys(named).length === 0 && typeof main === 'object' && main !== null
    ? (main as Record<string, unknown>)
    : named
}

function checkHelperName(name: string): void {
  if (HANDLEBARS_BLOCKS.has(name))
    throw new Error(`'${name}' is a built-in block of Handlebars; give the helper another name`)
}

/** Writes a line to the mailer's logger. */
export type LogFunction = (
  level: 'debug' | 'info' | 'warn' | 'error',
  fields: unknown,
  message?: unknown,
) => void

/** The argument of a setup module's `setup()`. */
export interface SetupContext {
  /** Registers a helper. It replaces any other helper of the same name. */
  helper(name: string, helper: Helper): void
  /** Values that templates read as `@app`. */
  globals: JsonObject
  /** The `app` of `load` functions: put the connections that they need here. It begins with the globals. */
  app: Record<string, unknown>
  /** Writes to the mailer's logger, as pino does: fields and a message, or a message alone. */
  log: Record<'debug' | 'info' | 'warn' | 'error', (fields: unknown, message?: unknown) => void>
}

/** The modules that an application loads into a thread: its helpers, and the resources that its setup opened for them. */
export class ApplicationModules {
  readonly #modules: { setup?: string; helpers?: string }
  readonly #globals: JsonObject
  readonly #log: LogFunction
  #loaded: Promise<ReadonlyMap<string, Helper>> | undefined
  #close: (() => unknown) | undefined

  /** Schemes that bound URLs may have. */
  readonly urlSchemes: readonly string[]

  constructor(
    modules: Pick<TemplateSetup, 'setup' | 'helpers' | 'urlSchemes'>,
    globals: JsonObject,
    log: LogFunction,
  ) {
    this.#modules = modules
    this.urlSchemes = modules.urlSchemes ?? DEFAULT_URL_SCHEMES
    this.#globals = globals
    this.#log = log
    this.app = structuredClone(globals)
  }

  /** The `app` of `load` functions. Complete once `helpers()` has resolved. */
  readonly app: Record<string, unknown>

  get hasSetup(): boolean {
    return this.#modules.setup !== undefined
  }

  /** Loads the modules on the first call. After a failure, which may be temporary, the next call tries again. */
  helpers(): Promise<ReadonlyMap<string, Helper>> {
    if (this.#loaded === undefined) {
      const promise = whileLoading(() => this.#load())
      promise.catch(() => (this.#loaded = undefined))
      this.#loaded = promise
    }
    return this.#loaded
  }

  /** Calls the function that `setup()` returned. */
  async close(): Promise<void> {
    const close = this.#close
    this.#close = undefined
    try {
      await close?.()
    } catch (error) {
      this.#log('error', { err: String(error) }, "the close function of the templates' setup module failed")
    }
  }

  async #load(): Promise<ReadonlyMap<string, Helper>> {
    const { setup, helpers } = this.#modules
    const all = helpers === undefined ? new Map<string, Helper>() : await loadHelpers(new URL(helpers))
    if (setup === undefined) return all
    try {
      await this.#setUp(new URL(setup), all)
    } catch (error) {
      throw new Error(
        `The setup module ${path.posix.basename(new URL(setup).pathname)} failed: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      )
    }
    return all
  }

  async #setUp(url: URL, helpers: Map<string, Helper>): Promise<void> {
    const { setup } = namedExports(await loadModule(url))
    if (typeof setup !== 'function') throw new Error('it does not export a function named setup')
    const log = this.#log
    const context: SetupContext = {
      helper: (name, helper) => {
        checkHelperName(name)
        if (typeof helper !== 'function') throw new Error(`the helper '${name}' is not a function`)
        helpers.set(name, helper)
      },
      globals: structuredClone(this.#globals),
      app: this.app,
      log: {
        debug: (fields, message) => log('debug', fields, message),
        info: (fields, message) => log('info', fields, message),
        warn: (fields, message) => log('warn', fields, message),
        error: (fields, message) => log('error', fields, message),
      },
    }
    const close: unknown = await (setup as (context: SetupContext) => unknown)(context)
    if (typeof close === 'function') this.#close = close as () => unknown
  }
}

/** For a mailer without templates. */
export const NO_MODULES = new ApplicationModules({}, {}, () => undefined)
