import type { TemplateListing } from '../../../src/protocol/templateManifest.js'
import type { ApplicationModules, LogFunction } from '../applicationModules.js'
import { type FolderVersion, TemplateFolder } from '../folder/templateFolder.js'
import { extensionOf } from '../languages/extensions.js'
import type { RenderableTemplate } from '../languages/language.js'
import { languageOf } from '../languages/languages.js'
import { LruCache } from '../lruCache.js'
import { buildManifests } from '../manifest/manifest.js'
import { isOutOfTime } from '../precompiled/verifyPrecompiled.js'
import type { CriticalSection } from '../renderer.js'
import type { VariantSource } from '../template/parseTemplate.js'
import {
  AdHocTemplates,
  type LoadFile,
  missingVariantError,
  selectVariant,
  type TemplateSource,
  unknownTemplateError,
} from './templateSource.js'

const MAX_TEMPLATES = 500

/** Templates of a folder, compiled on first use and again after a file has changed. */
export class FolderTemplates implements TemplateSource {
  readonly #folder: TemplateFolder
  readonly #compiled = new LruCache<RenderableTemplate | Promise<RenderableTemplate>>(MAX_TEMPLATES)
  readonly #adHoc: AdHocTemplates
  /** The catalog of the folder version that was read last. */
  #catalogue: { number: number; catalogue: TemplateListing } | undefined

  constructor(
    dir: string,
    reload: boolean,
    application: ApplicationModules,
    private readonly compileLimit: number,
    private readonly log: LogFunction,
  ) {
    this.#folder = new TemplateFolder(dir, reload, application)
    this.#adHoc = new AdHocTemplates(compileLimit)
  }

  async catalogue(): Promise<TemplateListing> {
    const version = await this.#folder.current()
    if (this.#catalogue?.number === version.number) return this.#catalogue.catalogue
    const catalogue: TemplateListing = { templates: await buildManifests(version) }
    const { notTemplates } = version.files
    if (notTemplates.size > 0)
      catalogue.notTemplates = Object.fromEntries(
        [...notTemplates].map(([name, { reason }]) => [name, reason]),
      )
    this.#catalogue = { number: version.number, catalogue }
    return catalogue
  }

  byName(
    name: string,
    locale: string | undefined,
    critical: CriticalSection,
  ): RenderableTemplate | Promise<RenderableTemplate> {
    const version = this.#folder.current()
    return version instanceof Promise
      ? version.then((read) => this.#findIn(read, name, locale, critical))
      : this.#findIn(version, name, locale, critical)
  }

  #findIn(
    version: FolderVersion,
    name: string,
    locale: string | undefined,
    critical: CriticalSection,
  ): RenderableTemplate | Promise<RenderableTemplate> {
    const source = resolveVariant(version, name, locale)
    const key = `${version.number} ${source.main?.name ?? ''} ${source.text?.name ?? ''}`
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const { customHelpers } = version
    const { compileLimit } = this
    const language = languageOf(source)
    const template = language.compile(source, { critical, customHelpers, compileLimit }).then((compiled) => {
      const slow = compiled.findings.find(isOutOfTime)
      if (slow !== undefined)
        this.log('warn', { template: name }, `The template '${name}' is rendered per message: ${slow.reason}`)
      return language.open(compiled, version.helpers, this.#folder.dir)
    })
    this.#compiled.set(key, template)
    template.then(
      (ready) => this.#compiled.set(key, ready),
      // Errors are not cached, because an interrupted compilation must not count as an error of the source.
      () => this.#compiled.delete(key),
    )
    return template
  }

  recheck(): void {
    this.#folder.recheck()
  }

  loadFile(name: string): LoadFile | undefined | Promise<LoadFile | undefined> {
    const version = this.#folder.current()
    return version instanceof Promise
      ? version.then(({ files }) => files.templates.get(name)?.load)
      : version.files.templates.get(name)?.load
  }

  async adHoc(source: string, critical: CriticalSection): Promise<RenderableTemplate> {
    const { number, partsFor, helpers } = await this.#folder.current()
    return this.#adHoc.get(source, number, partsFor('.mjml').parts, helpers, critical)
  }
}

/** Returns the source of a template's variant for a locale. @throws TemplateFailure `UNKNOWN_TEMPLATE` */
export function resolveVariant(
  version: FolderVersion,
  name: string,
  locale: string | undefined,
): VariantSource {
  const { files, partsFor } = version
  const template = files.templates.get(name)
  const variants = template === undefined || template.main.size > 0 ? template?.main : template.text
  if (template === undefined || variants === undefined || variants.size === 0)
    throw unknownTemplateError(name, files.templates.keys(), files.notTemplates.get(name)?.reason)
  const main = selectVariant(template.main, locale)
  const text = selectVariant(template.text, locale)
  if (selectVariant(variants, locale) === undefined) throw missingVariantError(name, variants)
  return {
    ...(main === undefined ? {} : { main }),
    ...(text === undefined ? {} : { text }),
    ...partsFor(main === undefined ? '.mjml' : extensionOf(main)),
  }
}
