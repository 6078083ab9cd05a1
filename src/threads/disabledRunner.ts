import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { ThreadpostError } from '../errors.js'
import { PHASES } from '../protocol/outcome.js'
import { BUILT_FILE, type Catalogue } from '../protocol/templateManifest.js'
import type { PhaseCounts, Runner } from './runner.js'
import { SlotPool } from './slotPool.js'

/**
 * In the place of threads where mail is only taken in (`role: 'send'`): it renders and delivers nothing. What the
 * templates need it knows only from a folder that was compiled ahead, since nothing is compiled to read that.
 */
export class DisabledRunner implements Runner {
  readonly slots = new SlotPool(0, 0)
  readonly outage = undefined
  readonly releaseIn = 0
  readonly #dir: string | undefined

  /** @param dir a folder that `threadpost build` wrote */
  constructor(dir: string | undefined) {
    this.#dir = dir
  }

  start(): Promise<Catalogue> {
    return this.catalogue()
  }

  async catalogue(): Promise<Catalogue> {
    if (this.#dir === undefined) return { templates: [] }
    try {
      const text = await readFile(path.join(this.#dir, BUILT_FILE), 'utf8')
      const { manifests } = JSON.parse(text) as { manifests: Catalogue['templates'] }
      return { templates: manifests }
    } catch (error) {
      throw new ThreadpostError(
        'INVALID_OPTIONS',
        "templates: with role 'send' nothing is compiled: name the folder that `threadpost build` wrote, or none, " +
          `and the worker says what is wrong with a mail (${(error as Error).message})`,
        { path: 'templates', cause: error },
      )
    }
  }

  deliver(): Promise<never> {
    return Promise.reject(unsupported('delivers nothing'))
  }

  withdraw(): boolean {
    return false
  }

  render(): Promise<never> {
    return Promise.reject(unsupported('renders nothing'))
  }

  compose(): Promise<never> {
    return Promise.reject(unsupported('renders nothing'))
  }

  inspect(): Promise<never> {
    return Promise.reject(unsupported('compiles nothing'))
  }

  verify(): Promise<never> {
    return Promise.reject(unsupported('has no transports'))
  }

  reloadTransports(): Promise<void> {
    return Promise.resolve()
  }

  reloadTemplates(): Promise<void> {
    return Promise.resolve()
  }

  endThread(): undefined {
    return undefined
  }

  threads(): [] {
    return []
  }

  phases(): PhaseCounts {
    return Object.fromEntries(PHASES.map((phase) => [phase, 0])) as PhaseCounts
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function unsupported(what: string): ThreadpostError {
  return new ThreadpostError('UNSUPPORTED', `A mailer with role 'send' ${what}; ask one that delivers`)
}
