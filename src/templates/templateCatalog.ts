import { ThreadpostError } from '../errors.js'
import { toTemplateContent } from '../message/content.js'
import type { TemplateData, TemplateName } from '../message/mail.js'
import { partsOf } from '../message/messageView.js'
import { manifestOf } from '../message/toJob.js'
import type { JsonObject, RenderedParts } from '../protocol/tasks.js'
import type {
  TemplateListing,
  TemplateManifest,
  TemplateNotes,
  TemplateSetup,
} from '../protocol/templateManifest.js'
import type { Runner } from '../threads/runner.js'
import { Validator } from '../validation.js'
import { changedTemplates } from './templateOptions.js'

/** Milliseconds between two looks at the folder, however often a template is asked for in vain. */
const PAUSE = 250

/** Whether it is a refusal that a changed file may have made untrue. */
export function mayBeStale(error: unknown): boolean {
  return (
    error instanceof ThreadpostError && (error.code === 'UNKNOWN_TEMPLATE' || error.code === 'MISSING_DATA')
  )
}

/**
 * What the main thread knows of the templates. A file may have changed since, so that a refusal is made only after a
 * fresh look at the folder; mail that is accepted never waits for one.
 */
export class TemplateCatalog {
  readonly manifests = new Map<string, TemplateManifest>()
  readonly #read: () => Promise<TemplateListing>
  #reading: Promise<boolean> | undefined
  #readAt = -PAUSE

  constructor(catalogue: TemplateListing, read: () => Promise<TemplateListing>) {
    this.#read = read
    this.#learn(catalogue)
  }

  /** Runs the work, and once more after a fresh look if it fails for a template that is unknown or lacks data. */
  upToDate<T>(work: () => T): T | Promise<T> {
    try {
      return work()
    } catch (error) {
      if (!mayBeStale(error)) throw error
      return this.refresh().then((fresh) => {
        if (!fresh) throw error
        return work()
      })
    }
  }

  /** @returns whether there was a fresh look; it may fail, and then what was known stays. */
  refresh(): Promise<boolean> {
    if (performance.now() - this.#readAt < PAUSE) return this.#reading ?? Promise.resolve(false)
    this.#readAt = performance.now()
    const reading = this.#read().then(
      (catalogue) => {
        this.#learn(catalogue)
        return true
      },
      () => false,
    )
    this.#reading = reading
    return reading
  }

  /** A fresh look at once, after which what was known before counts no more. */
  async reread(): Promise<void> {
    this.#readAt = performance.now()
    this.#learn(await this.#read())
  }

  #learn({ templates }: TemplateListing): void {
    this.manifests.clear()
    for (const manifest of templates) this.manifests.set(manifest.name, manifest)
  }
}

/** What is known of a template without rendering it. */
export interface TemplateSummary {
  name: string
  /** Locales it has a variant for, besides the default one. */
  locales: string[]
  /** Whether it has a subject of its own. */
  hasSubject: boolean
  /** Sample data, where its file holds some. */
  sample?: JsonObject
  /** Why it can't be read; mails of it fail. */
  error?: string
}

function toTemplateSummary({ name, locales, hasSubject, sample, error }: TemplateManifest): TemplateSummary {
  return {
    name,
    locales: [...locales],
    hasSubject,
    ...(sample === undefined ? {} : { sample: structuredClone(sample) }),
    ...(error === undefined ? {} : { error }),
  }
}

/** A template as it stands: what it offers, and how it compiles. */
export interface TemplateInspection extends TemplateNotes {
  name: string
  /** Its variants beside the default one. */
  locales: string[]
  /** What its sample file holds. */
  sample?: JsonObject
  /** Why it can't be read or compiled. */
  error?: string
}

const options: Validator = new Validator('INVALID_OPTIONS')
const names: Validator = new Validator('INVALID_MESSAGE')

/** The templates of a mailer: rendered and looked at in a thread, and what the application adds to them, changed. */
export class TemplateManager {
  readonly #runner: Runner
  readonly #book: TemplateCatalog
  #setup: TemplateSetup | undefined

  constructor(setup: TemplateSetup | undefined, runner: Runner, book: TemplateCatalog) {
    this.#setup = setup
    this.#runner = runner
    this.#book = book
  }

  /** The folder, where there is one. */
  get folder(): string | undefined {
    return this.#setup?.dir
  }

  get names(): string[] {
    return [...this.#book.manifests.keys()]
  }

  /** As their files are now. */
  async describe(): Promise<TemplateSummary[]> {
    await this.#book.refresh()
    return [...this.#book.manifests.values()].map(toTemplateSummary)
  }

  async render<Name extends TemplateName>(
    template: Name,
    data: TemplateData<Name> | undefined,
    locale: string | undefined,
    context: JsonObject | undefined,
  ): Promise<RenderedParts> {
    const name = names.string(template, 'template', 200)
    await this.#book.upToDate(() => manifestOf(name, this.#book.manifests))
    return partsOf(await this.#runner.render(toTemplateContent(template, data, locale), context))
  }

  async inspect(template: string, locale: string | undefined): Promise<TemplateInspection> {
    const name = names.string(template, 'template', 200)
    await this.#book.refresh()
    const { locales, sample, error } = manifestOf(name, this.#book.manifests)
    const about = { name, locales, ...(sample === undefined ? {} : { sample }) }
    if (error !== undefined) return { ...about, error, findings: [], warnings: [] }
    const result = await this.#runner.inspect(toTemplateContent(name, {}, locale))
    if (result.ok) return { ...about, ...result.parts }
    return { ...about, error: result.outcome.message, findings: [], warnings: [] }
  }

  /** Other globals, setup and helpers, between two mails. */
  async reload(input: unknown): Promise<void> {
    if (this.#setup === undefined) options.fail('templates', 'the mailer was made without templates')
    const fresh = changedTemplates(options, this.#setup, input)
    try {
      await this.#runner.reloadTemplates(fresh)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ThreadpostError('INVALID_OPTIONS', `templates: ${reason}`, {
        path: 'templates',
        cause: error,
      })
    }
    this.#setup = fresh
    await this.#book.reread()
  }
}
