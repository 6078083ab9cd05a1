import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'
import { toTemplateContent } from '../message/content.js'
import { partsOf } from '../message/messageView.js'
import type { TemplateData, TemplateName } from '../message/templateTypes.js'
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
import { applyTemplateReload } from './templateOptions.js'

/** Minimum milliseconds between two reads of the folder, however many messages name an unknown template. */
const REFRESH_INTERVAL = 250

/** Whether an error may be outdated because a file has changed. */
export function mayBeStale(error: unknown): boolean {
  return (
    error instanceof ThreadpostError && (error.code === 'UNKNOWN_TEMPLATE' || error.code === 'MISSING_DATA')
  )
}

/**
 * The manifests of the templates, held by the main thread. A file may have changed since they were read, so a message is
 * rejected only after the folder has been read again. Accepting a message never waits for that.
 */
export class TemplateCatalog {
  readonly manifests = new Map<string, TemplateManifest>()
  /** Why files that look like templates are none, by the name that the template would have. */
  readonly notTemplates = new Map<string, string>()
  readonly #read: () => Promise<TemplateListing>
  #reading: Promise<boolean> | undefined
  #readAt = -REFRESH_INTERVAL

  constructor(catalogue: TemplateListing, read: () => Promise<TemplateListing>) {
    this.#read = read
    this.#update(catalogue)
  }

  /** Runs the work. If it fails for an unknown template or missing data, reads the folder again and retries once. */
  retryWhenStale<T>(work: () => T): T | Promise<T> {
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

  /** Reads the folder again, unless it was just read. Resolves with false if it was not read; the manifests stay as they are then. */
  refresh(): Promise<boolean> {
    if (performance.now() - this.#readAt < REFRESH_INTERVAL) return this.#reading ?? Promise.resolve(false)
    this.#readAt = performance.now()
    const reading = this.#read().then(
      (catalogue) => {
        this.#update(catalogue)
        return true
      },
      () => false,
    )
    this.#reading = reading
    return reading
  }

  /** Reads the folder again at once, and rejects if that fails. */
  async reread(): Promise<void> {
    this.#readAt = performance.now()
    this.#update(await this.#read())
  }

  #update({ templates, notTemplates = {} }: TemplateListing): void {
    this.manifests.clear()
    for (const manifest of templates) this.manifests.set(manifest.name, manifest)
    this.notTemplates.clear()
    for (const [name, reason] of Object.entries(notTemplates)) this.notTemplates.set(name, reason)
  }
}

/** Warns of templates that can't be used, or not for every mail: the application learns of them before a mail is refused. */
export function warnOfTemplates(manifests: TemplateCatalog['manifests'], logger: Logger): void {
  for (const { name, locales, error, defaultMissing } of manifests.values()) {
    if (error !== undefined) logger.warn({ template: name }, `The template '${name}' can't be used: ${error}`)
    else if (defaultMissing === true)
      logger.warn(
        { template: name, locales },
        `The template '${name}' has no default variant, only ${locales.join(', ')}: mail in any other language is refused. Add ${name}.mjml`,
      )
  }
}

/** A template as described by its files, without rendering it. */
export interface TemplateSummary {
  name: string
  /** Locales with a variant, besides the default. */
  locales: string[]
  /** Whether the template sets the subject. */
  hasSubject: boolean
  /** Data of its sample file, if there is one. */
  sample?: JsonObject
  /** Why the template can't be read. Messages that use it fail. */
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

/** A template with the result of compiling it. */
export interface TemplateInspection extends TemplateNotes {
  name: string
  /** Locales with a variant, besides the default. */
  locales: string[]
  /** Data of its sample file, if there is one. */
  sample?: JsonObject
  /** Why the template can't be read or compiled. */
  error?: string
}

const options: Validator = new Validator('INVALID_OPTIONS')
const names: Validator = new Validator('INVALID_MESSAGE')

/** The templates of a mailer: describes, renders, inspects and reloads them with the help of a thread. */
export class TemplateManager {
  readonly #runner: Runner
  readonly #catalog: TemplateCatalog
  #setup: TemplateSetup | undefined

  constructor(setup: TemplateSetup | undefined, runner: Runner, catalog: TemplateCatalog) {
    this.#setup = setup
    this.#runner = runner
    this.#catalog = catalog
  }

  /** The template folder, if there is one. */
  get folder(): string | undefined {
    return this.#setup?.dir
  }

  get names(): string[] {
    return [...this.#catalog.manifests.keys()]
  }

  /** Returns the templates as their files are now. */
  async describe(): Promise<TemplateSummary[]> {
    await this.#catalog.refresh()
    return [...this.#catalog.manifests.values()].map(toTemplateSummary)
  }

  async render<Name extends TemplateName>(
    template: Name,
    data: TemplateData<Name> | undefined,
    selection: { locale?: string },
    context: JsonObject | undefined,
  ): Promise<RenderedParts> {
    const { locale } = names.object(selection, '', ['locale'])
    const name = names.string(template, 'template', 200)
    await this.#catalog.retryWhenStale(() => this.#manifestOf(name))
    return partsOf(await this.#runner.render(toTemplateContent(template, data, locale), context))
  }

  async inspect(template: string, selection: { locale?: string }): Promise<TemplateInspection> {
    const { locale } = names.object(selection, '', ['locale'])
    const name = names.string(template, 'template', 200)
    await this.#catalog.refresh()
    const { locales, sample, error } = this.#manifestOf(name)
    const summary = { name, locales, ...(sample === undefined ? {} : { sample }) }
    if (error !== undefined) return { ...summary, error, findings: [], warnings: [] }
    const result = await this.#runner.inspect(toTemplateContent(name, {}, locale))
    if (result.ok) return { ...summary, ...result.parts }
    return { ...summary, error: result.outcome.message, findings: [], warnings: [] }
  }

  #manifestOf(name: string): TemplateManifest {
    return manifestOf(name, this.#catalog.manifests, this.#catalog.notTemplates)
  }

  /** Replaces globals, setup and helpers between two messages. */
  async reload(input: unknown): Promise<void> {
    if (this.#setup === undefined) options.fail('templates', 'the mailer was made without templates')
    const fresh = applyTemplateReload(options, this.#setup, input)
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
    await this.#catalog.reread()
  }
}
