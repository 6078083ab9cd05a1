import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  BUILT_FILE,
  type TemplateListing,
  type TemplateManifest,
} from '../../../src/protocol/templateManifest.js'
import type { Application } from '../application.js'
import type { Helper, Helpers } from '../bind/helperCall.js'
import { loadHelpers } from '../folder/helpersFile.js'
import { helpersOf } from '../helpers/helperRegistry.js'
import type { CompiledTemplate } from '../precompiled/form.js'
import type { Critical } from '../renderer.js'
import { Template } from '../template.js'
import { TemplateFailure } from '../template/source.js'
import { AdHocTemplates, partsWithout } from './adHoc.js'
import { type Templates, unknownTemplate, variantOf } from './templateSource.js'

/** Raised when compiled templates of before can no longer be read. */
export const BUILT_FORMAT = 3

export interface BuiltFolder {
  format: typeof BUILT_FORMAT
  manifests: TemplateManifest[]
  /** By name and locale; `''` is the default. */
  templates: Record<string, Record<string, CompiledTemplate>>
  /** By locale. */
  strings: Record<string, Record<string, unknown>>
  /** Names that meant a helper of the folder's or the application's when it was built. */
  helpers: string[]
}

interface Loaded {
  built: BuiltFolder
  helpers: Helpers
  variants: ReadonlyMap<string, ReadonlyMap<string, BuiltFolder['templates'][string][string]>>
}

/** Templates that were compiled ahead: nothing is parsed, and MJML is loaded only for data that needs it. */
export class BuiltTemplates implements Templates {
  #loaded: Loaded | Promise<Loaded> | undefined
  readonly #ready = new Map<unknown, Template | Promise<Template>>()
  readonly #adHoc = new AdHocTemplates()

  constructor(
    private readonly dir: string,
    private readonly application: Application,
  ) {}

  static isIn(dir: string): boolean {
    return existsSync(path.join(dir, BUILT_FILE))
  }

  async catalogue(): Promise<TemplateListing> {
    return { templates: (await this.#load()).built.manifests }
  }

  named(name: string, locale: string | undefined, _critical: Critical): Template | Promise<Template> {
    const loaded = this.#load()
    return loaded instanceof Promise
      ? loaded.then((read) => this.#in(read, name, locale))
      : this.#in(loaded, name, locale)
  }

  #in({ variants, helpers }: Loaded, name: string, locale: string | undefined): Template | Promise<Template> {
    const template = variants.get(name)
    const compiled = template === undefined ? undefined : variantOf(template, locale)
    if (compiled === undefined) throw unknownTemplate(name, variants.keys())
    const known = this.#ready.get(compiled)
    if (known !== undefined) return known
    const preparing = Template.of(compiled, helpers).then((ready) => {
      this.#ready.set(compiled, ready)
      return ready
    })
    this.#ready.set(compiled, preparing)
    return preparing
  }

  async adHoc(source: string, critical: Critical): Promise<Template> {
    const { helpers } = await this.#load()
    return this.#adHoc.get(source, 0, partsWithout(helpers), helpers, critical)
  }

  #load(): Loaded | Promise<Loaded> {
    if (this.#loaded !== undefined) return this.#loaded
    const loading = this.#read()
    loading.then(
      (loaded) => (this.#loaded = loaded),
      () => (this.#loaded = undefined),
    )
    this.#loaded = loading
    return loading
  }

  async #read(): Promise<Loaded> {
    const built = await this.#parse()
    const file = ['helpers.js', 'helpers.mjs']
      .map((name) => path.join(this.dir, name))
      .find((name) => existsSync(name))
    const ofFolder =
      file === undefined ? new Map<string, Helper>() : await loadHelpers(pathToFileURL(path.resolve(file)))
    const custom = new Map([...ofFolder, ...(await this.application.helpers())])
    const absent = built.helpers.find((name) => !custom.has(name))
    if (absent !== undefined)
      throw new TemplateFailure(
        'TEMPLATE_ERROR',
        `${this.dir} was built with the helper '${absent}', which is not there now: name its module in templates.helpers or templates.setup, or build again`,
      )
    const helpers = helpersOf(custom, new Map(Object.entries(built.strings)))
    const variants = new Map(
      Object.entries(built.templates).map(([name, locales]) => [name, new Map(Object.entries(locales))]),
    )
    return { built, helpers, variants }
  }

  async #parse(): Promise<BuiltFolder> {
    const file = path.join(this.dir, BUILT_FILE)
    try {
      const built = JSON.parse(await readFile(file, 'utf8')) as BuiltFolder
      if ((built.format as number) === BUILT_FORMAT) return built
    } catch (error) {
      throw new TemplateFailure('TEMPLATE_ERROR', `${file} can't be read: ${(error as Error).message}`)
    }
    throw new TemplateFailure(
      'TEMPLATE_ERROR',
      `${file} was built by another version of threadpost: build it again`,
    )
  }
}
