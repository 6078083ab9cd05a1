import type { TemplateListing } from '../../../src/protocol/templateManifest.js'
import type { Application } from '../application.js'
import { RecentlyUsed } from '../cache.js'
import { type FolderVersion, TemplateFolder } from '../folder/templateFolder.js'
import { manifestOf } from '../manifest/manifest.js'
import { compileTemplate } from '../precompiled/compileTemplate.js'
import type { Critical } from '../renderer.js'
import { Template } from '../template.js'
import type { TemplateSource } from '../template/parseTemplate.js'
import { AdHocTemplates } from './adHoc.js'
import { type Templates, unknownTemplate, variantOf } from './templateSource.js'

const MAX_TEMPLATES = 500

/** Templates of a folder, compiled when they are first asked for, and again when a file changed. */
export class FolderTemplates implements Templates {
  readonly #folder: TemplateFolder
  readonly #compiled = new RecentlyUsed<Template | Promise<Template>>(MAX_TEMPLATES)
  readonly #adHoc = new AdHocTemplates()
  /** Of the version last looked at. */
  #catalogue: { number: number; catalogue: TemplateListing } | undefined

  constructor(dir: string, reload: boolean, application: Application) {
    this.#folder = new TemplateFolder(dir, reload, application)
  }

  async catalogue(): Promise<TemplateListing> {
    const version = await this.#folder.current()
    if (this.#catalogue?.number === version.number) return this.#catalogue.catalogue
    const templates = [...version.files.templates].filter(([, { mjml }]) => mjml.size > 0)
    const catalogue = { templates: templates.map(([name, files]) => manifestOf(name, files, version)) }
    this.#catalogue = { number: version.number, catalogue }
    return catalogue
  }

  named(name: string, locale: string | undefined, critical: Critical): Template | Promise<Template> {
    const version = this.#folder.current()
    return version instanceof Promise
      ? version.then((read) => this.#in(read, name, locale, critical))
      : this.#in(version, name, locale, critical)
  }

  #in(
    version: FolderVersion,
    name: string,
    locale: string | undefined,
    critical: Critical,
  ): Template | Promise<Template> {
    const source = sourceOf(version, name, locale)
    const key = `${version.number} ${source.mjml.name} ${source.text?.name ?? ''}`
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const { customHelpers } = version.parts
    const template = compileTemplate(source, { critical, customHelpers }).then((compiled) =>
      Template.of(compiled, version.helpers),
    )
    this.#compiled.set(key, template)
    template.then(
      (ready) => this.#compiled.set(key, ready),
      // A failure is the source's, but a thread that died or stopped halfway must not be remembered as one.
      () => this.#compiled.delete(key),
    )
    return template
  }

  async adHoc(source: string, critical: Critical): Promise<Template> {
    const { number, parts, helpers } = await this.#folder.current()
    return this.#adHoc.get(source, number, parts, helpers, critical)
  }
}

/** @throws TemplateFailure `UNKNOWN_TEMPLATE` */
export function sourceOf(version: FolderVersion, name: string, locale: string | undefined): TemplateSource {
  const { files, parts, textParts } = version
  const template = files.templates.get(name)
  const mjml = template === undefined ? undefined : variantOf(template.mjml, locale)
  if (template === undefined || mjml === undefined) throw unknownTemplate(name, files.templates.keys())
  const text = variantOf(template.text, locale)
  return { mjml, ...(text === undefined ? {} : { text }), parts, textParts }
}
