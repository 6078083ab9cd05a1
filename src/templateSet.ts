import { Checker } from './check.js'
import { ThreadpostError } from './errors.js'
import type { Runner } from './runner.js'
import type { TemplateBook } from './templateBook.js'
import { changedTemplates } from './templateOptions.js'
import type { TemplateSetup } from './templateWire.js'

const check: Checker = new Checker('INVALID_OPTIONS')

/** The templates of a mailer and what the application adds to them: changed while mail goes out. */
export class TemplateSet {
  readonly #runner: Runner
  readonly #book: TemplateBook
  #templates: TemplateSetup | undefined

  constructor(templates: TemplateSetup | undefined, runner: Runner, book: TemplateBook) {
    this.#templates = templates
    this.#runner = runner
    this.#book = book
  }

  async reload(input: unknown): Promise<void> {
    if (this.#templates === undefined) check.fail('templates', 'the mailer was made without templates')
    const fresh = changedTemplates(check, this.#templates, input)
    try {
      await this.#runner.reloadTemplates(fresh)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new ThreadpostError('INVALID_OPTIONS', `templates: ${reason}`, {
        path: 'templates',
        cause: error,
      })
    }
    this.#templates = fresh
    await this.#book.reread()
  }
}
