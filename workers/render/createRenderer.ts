import type { Catalogue, Content, JsonObject, RenderedParts, TemplateManifest } from '../../src/wire.js'
import { RecentlyUsed, contentHash } from './cache.js'
import { TemplateFailure } from './failure.js'
import type { FolderVersion } from './folder/templateFolder.js'
import { TemplateFolder } from './folder/templateFolder.js'
import { fallbacks } from './helpers/translate.js'
import { helpersOf } from './helpers/registry.js'
import { compileTemplate } from './late/compileTemplate.js'
import type { Critical, Renderer } from './renderer.js'
import type { SharedParts } from './template/sharedParts.js'
import { Template } from './template.js'
import type { TemplateSource } from './template/trees.js'

export interface RendererSetup {
  templates?: {
    dir: string
    /** What templates see as `@app`. */
    globals: JsonObject
    /** Look for changed files while running. @default true */
    reload?: boolean
  }
}

const MAX_TEMPLATES = 500

/** The renderer of one thread: templates of the folder and ad-hoc sources, compiled when they are first needed. */
export function createRenderer(setup: RendererSetup): Renderer {
  const { templates } = setup
  const folder =
    templates === undefined ? undefined : new TemplateFolder(templates.dir, templates.reload ?? true)
  return new ThreadRenderer(folder, templates?.globals ?? {})
}

class ThreadRenderer implements Renderer {
  readonly #compiled = new RecentlyUsed<Promise<Template>>(MAX_TEMPLATES)

  constructor(
    private readonly folder: TemplateFolder | undefined,
    private readonly globals: JsonObject,
  ) {}

  async catalogue(): Promise<Catalogue> {
    if (this.folder === undefined) return { templates: [] }
    const version = await this.folder.current()
    const templates: TemplateManifest[] = []
    for (const [name, files] of version.files.templates) {
      if (files.mjml.size === 0) continue
      const first = files.mjml.get('') ?? [...files.mjml.values()][0]
      templates.push({
        name,
        locales: [...files.mjml.keys()].filter((locale) => locale !== ''),
        hasSubject: first?.text.includes('<mj-title') ?? false,
      })
    }
    return { templates }
  }

  async render(content: Content, critical: Critical): Promise<RenderedParts> {
    switch (content.kind) {
      case 'literal':
        return { subject: '', preheader: '', html: content.html ?? '', text: content.text ?? '' }
      case 'mjml':
        return this.#bind(await this.#adHoc(content.source, critical), content.data, undefined, critical)
      case 'template':
        return this.#bind(await this.#named(content, critical), content.data, content.locale, critical)
    }
  }

  async #bind(
    template: Template,
    data: JsonObject,
    locale: string | undefined,
    critical: Critical,
  ): Promise<RenderedParts> {
    return template.render({ data, variables: { app: this.globals, locale: locale ?? 'en' } }, critical)
  }

  async #adHoc(text: string, critical: Critical): Promise<Template> {
    const version = await this.folder?.current()
    const parts = version?.parts ?? NO_PARTS
    const key = contentHash(`ad hoc ${version?.number ?? 0}`, text)
    return this.#compile(key, { mjml: { name: 'mjml', text }, parts, textParts: parts }, version, critical)
  }

  async #named(content: { name: string; locale?: string }, critical: Critical): Promise<Template> {
    const version = await this.folder?.current()
    const files = version?.files.templates.get(content.name)
    if (version === undefined || files === undefined) throw unknown(content.name, version)
    const mjml = variantOf(files.mjml, content.locale)
    if (mjml === undefined) throw unknown(content.name, version)
    const text = variantOf(files.text, content.locale)
    const source: TemplateSource = {
      mjml,
      ...(text === undefined ? {} : { text }),
      parts: version.parts,
      textParts: version.textParts,
    }
    const key = `${version.number} ${mjml.name}`
    return this.#compile(key, source, version, critical)
  }

  #compile(
    key: string,
    source: TemplateSource,
    version: FolderVersion | undefined,
    critical: Critical,
  ): Promise<Template> {
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const helpers = version?.helpers ?? BUILT_IN
    const { customHelpers } = source.parts
    const template = compileTemplate(source, { critical, customHelpers }).then((compiled) =>
      Template.of(compiled, helpers),
    )
    this.#compiled.set(key, template)
    return template
  }
}

function variantOf<T>(variants: ReadonlyMap<string, T>, locale: string | undefined): T | undefined {
  for (const name of fallbacks(locale?.toLowerCase())) {
    const variant = variants.get(name)
    if (variant !== undefined) return variant
  }
  return variants.get('')
}

function unknown(name: string, version: FolderVersion | undefined): TemplateFailure {
  const known = [...(version?.files.templates.keys() ?? [])].slice(0, 20).join(', ')
  return new TemplateFailure(
    'UNKNOWN_TEMPLATE',
    `There is no template ${JSON.stringify(name.slice(0, 100))}. Known: ${known === '' ? 'none' : known}`,
  )
}

const BUILT_IN = helpersOf(new Map(), new Map())

const NO_PARTS: SharedParts = {
  partials: new Map(),
  layouts: new Map(),
  include: () => ({ refused: 'has no template folder to look in' }),
  helpers: new Set(BUILT_IN.byName.keys()),
  customHelpers: new Set(),
}
