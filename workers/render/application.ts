import path from 'node:path'
import type { JsonObject } from '../../src/protocol/tasks.js'
import { whileLoading } from '../heartbeat.js'
import type { Helper } from './bind/helperCall.js'
import { checkHelperName, loadHelpers, loadModule } from './folder/helpersFile.js'

/** Takes lines to the mailer's logger. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', fields: unknown, message?: unknown) => void

/** What a setup module's `setup()` is given. */
export interface SetupContext {
  /** Registers a helper; it stands above one of the same name from elsewhere. */
  helper(name: string, helper: Helper): void
  /** What templates read as `@app`. */
  globals: JsonObject
  /** Writes to the mailer's logger, as pino does: fields and a message, or a message alone. */
  log: Record<'debug' | 'info' | 'warn' | 'error', (fields: unknown, message?: unknown) => void>
}

/** What an application brings into a thread with modules of its own: helpers, and what its setup opened for them. */
export class Application {
  readonly #modules: { setup?: string; helpers?: string }
  readonly #globals: JsonObject
  readonly #log: Log
  #loaded: Promise<ReadonlyMap<string, Helper>> | undefined
  #close: (() => unknown) | undefined

  constructor(modules: { setup?: string; helpers?: string }, globals: JsonObject, log: Log) {
    this.#modules = modules
    this.#globals = globals
    this.#log = log
  }

  get hasSetup(): boolean {
    return this.#modules.setup !== undefined
  }

  /** Loads the modules when first asked; after a failure, which may pass, once more. */
  helpers(): Promise<ReadonlyMap<string, Helper>> {
    if (this.#loaded === undefined) {
      const loading = whileLoading(() => this.#load())
      loading.catch(() => (this.#loaded = undefined))
      this.#loaded = loading
    }
    return this.#loaded
  }

  /** Calls what `setup()` returned. */
  async close(): Promise<void> {
    const close = this.#close
    this.#close = undefined
    try {
      await close?.()
    } catch (error) {
      this.#log(
        'error',
        { err: String(error) },
        "what the templates' setup module returned for closing failed",
      )
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
    const { setup } = await loadModule(url)
    if (typeof setup !== 'function') throw new Error('it exports no function called setup')
    const log = this.#log
    const context: SetupContext = {
      helper: (name, helper) => {
        checkHelperName(name)
        if (typeof helper !== 'function') throw new Error(`the helper '${name}' is no function`)
        helpers.set(name, helper)
      },
      globals: structuredClone(this.#globals),
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

/** Where there are no templates, and so nothing to bring into them. */
export const NO_APPLICATION = new Application({}, {}, () => undefined)
