import { Checker } from '../check.js'
import { toTemplateContent } from '../message/content.js'
import { ThreadpostError } from '../errors.js'
import type { TemplateData, TemplateName } from '../message/mail.js'
import { manifestOf } from '../message/toJob.js'
import { partsOf } from '../message/previews.js'
import type { Runner } from '../threads/runner.js'
import type { TemplateBook } from './book.js'
import { changedTemplates } from './options.js'
import { type TemplateSummary, toTemplateSummary } from './summary.js'
import type { TemplateNotes, TemplateSetup } from '../wire/templates.js'
import type { JsonObject, RenderedParts } from '../wire/tasks.js'

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

const options: Checker = new Checker('INVALID_OPTIONS')
const names: Checker = new Checker('INVALID_MESSAGE')

/** The templates of a mailer: rendered and looked at in a thread, and what the application adds to them, changed. */
export class TemplateSet {
  readonly #runner: Runner
  readonly #book: TemplateBook
  #setup: TemplateSetup | undefined

  constructor(setup: TemplateSetup | undefined, runner: Runner, book: TemplateBook) {
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
