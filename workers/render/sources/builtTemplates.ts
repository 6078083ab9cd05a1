import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseJson } from '../../../src/protocol/parseJson.js'
import {
  BUILT_FILE,
  type TemplateListing,
  type TemplateManifest,
} from '../../../src/protocol/templateManifest.js'
import { type ApplicationModules, loadHelpers } from '../applicationModules.js'
import type { Helper, Helpers } from '../bind/helperCall.js'
import { createHelpers } from '../helpers/builtInHelpers.js'
import type { RenderableTemplate } from '../languages/language.js'
import { languageNamed } from '../languages/languages.js'
import type { CompiledTemplate } from '../precompiled/compiledTemplate.js'
import type { CriticalSection } from '../renderer.js'
import { TemplateFailure } from '../template/sourceFile.js'
import {
  AdHocTemplates,
  type LoadFile,
  missingVariantError,
  partsWithoutFolder,
  type TemplateSource,
  unknownTemplateError,
  selectVariant,
} from './templateSource.js'

/** The version of the format. Increase it when templates in the old format can no longer be read. */
export const BUILT_FORMAT = 3

export interface BuiltFolder {
  format: typeof BUILT_FORMAT
  manifests: TemplateManifest[]
  /** By name and locale. `''` is the default. */
  templates: Record<string, Record<string, CompiledTemplate>>
  /** Strings of the `t` helper, by locale. */
  strings: Record<string, Record<string, unknown>>
  /** Names of the custom helpers, of the folder and the application, that existed at build time. */
  helpers: string[]
}

interface Loaded {
  built: BuiltFolder
  helpers: Helpers
  /** The load modules by template. */
  loads: ReadonlyMap<string, string>
  variants: ReadonlyMap<string, ReadonlyMap<string, BuiltFolder['templates'][string][string]>>
}

/** Templates compiled ahead of time. Nothing is parsed, and MJML is loaded only for data that needs it. */
export class BuiltTemplates implements TemplateSource {
  #loaded: Loaded | Promise<Loaded> | undefined
  readonly #ready = new Map<unknown, RenderableTemplate | Promise<RenderableTemplate>>()
  readonly #adHoc: AdHocTemplates

  constructor(
    private readonly dir: string,
    private readonly application: ApplicationModules,
    compileLimit: number,
  ) {
    this.#adHoc = new AdHocTemplates(compileLimit)
  }

  static isIn(dir: string): boolean {
    return existsSync(path.join(dir, BUILT_FILE))
  }

  async catalogue(): Promise<TemplateListing> {
    return { templates: (await this.#load()).built.manifests }
  }

  byName(
    name: string,
    locale: string | undefined,
    _critical: CriticalSection,
  ): RenderableTemplate | Promise<RenderableTemplate> {
    const loaded = this.#load()
    return loaded instanceof Promise
      ? loaded.then((read) => this.#findIn(read, name, locale))
      : this.#findIn(loaded, name, locale)
  }

  #findIn(
    { variants, helpers }: Loaded,
    name: string,
    locale: string | undefined,
  ): RenderableTemplate | Promise<RenderableTemplate> {
    const template = variants.get(name)
    if (template === undefined) throw unknownTemplateError(name, variants.keys())
    const compiled = selectVariant(template, locale)
    if (compiled === undefined) throw missingVariantError(name, template)
    const known = this.#ready.get(compiled)
    if (known !== undefined) return known
    const preparing = languageNamed(compiled.language)
      .open(compiled, helpers, this.dir)
      .then((ready) => {
        this.#ready.set(compiled, ready)
        return ready
      })
    this.#ready.set(compiled, preparing)
    return preparing
  }

  loadFile(name: string): LoadFile | undefined | Promise<LoadFile | undefined> {
    const loaded = this.#load()
    return loaded instanceof Promise
      ? loaded.then((read) => this.#loadFileIn(read, name))
      : this.#loadFileIn(loaded, name)
  }

  #loadFileIn({ loads }: Loaded, name: string): LoadFile | undefined {
    const file = loads.get(name)
    return file === undefined ? undefined : { name: file, path: path.resolve(this.dir, file) }
  }

  async adHoc(source: string, critical: CriticalSection): Promise<RenderableTemplate> {
    const { helpers } = await this.#load()
    return this.#adHoc.get(source, 0, partsWithoutFolder(helpers), helpers, critical)
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
        `${this.dir} was built with the helper '${absent}', which is missing now. Set templates.helpers or templates.setup to its module, or build the folder again`,
      )
    const strings = new Map(Object.entries(built.strings))
    const helpers = createHelpers(custom, strings, this.application.urlSchemes)
    const variants = new Map(
      Object.entries(built.templates).map(([name, locales]) => [name, new Map(Object.entries(locales))]),
    )
    const loads = new Map(
      built.manifests.flatMap(({ name, load }) => (load === undefined ? [] : [[name, load.file] as const])),
    )
    return { built, helpers, loads, variants }
  }

  async #parse(): Promise<BuiltFolder> {
    const file = path.join(this.dir, BUILT_FILE)
    try {
      const built = parseJson(await readFile(file, 'utf8')) as BuiltFolder
      if ((built.format as number) === BUILT_FORMAT) return built
    } catch (error) {
      throw new TemplateFailure('TEMPLATE_ERROR', `${file} can't be read: ${(error as Error).message}`)
    }
    throw new TemplateFailure(
      'TEMPLATE_ERROR',
      `${file} was built by another version of threadpost. Build it again`,
    )
  }
}
