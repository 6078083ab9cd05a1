import type { Catalogue, Content, JsonObject, RenderedParts, TemplateNotes } from '../../src/wire.js'
import type { Critical, Renderer } from './renderer.js'
import { AdHocTemplates, BUILT_IN, partsWithout } from './store/adHoc.js'
import { BuiltTemplates } from './store/builtTemplates.js'
import { FolderTemplates } from './store/folderTemplates.js'
import type { Templates } from './store/templates.js'
import { unknownTemplate } from './store/variants.js'
import type { BoundParts, Template } from './template.js'

export interface RendererSetup {
  templates?: {
    dir: string
    /** What templates see as `@app`. */
    globals: JsonObject
    /** Look for changed files while running. @default true */
    reload?: boolean
  }
}

/** The renderer of one thread: templates of a folder (of sources, or compiled ahead) and ad-hoc sources. */
export function createRenderer({ templates }: RendererSetup): Renderer {
  if (templates === undefined) return new ThreadRenderer(new NoTemplates(), {})
  const { dir, globals, reload = true } = templates
  const store = BuiltTemplates.isIn(dir) ? new BuiltTemplates(dir) : new FolderTemplates(dir, reload)
  return new ThreadRenderer(store, globals)
}

class ThreadRenderer implements Renderer {
  constructor(
    private readonly templates: Templates,
    private readonly globals: JsonObject,
  ) {}

  catalogue(): Promise<Catalogue> {
    return this.templates.catalogue()
  }

  async render(content: Content, critical: Critical): Promise<RenderedParts> {
    const { subject, preheader, html, text } = await this.bind(content, critical)
    return { subject, preheader, html, text }
  }

  async bind(content: Content, critical: Critical): Promise<BoundParts> {
    if (content.kind === 'literal')
      return { subject: '', preheader: '', html: content.html ?? '', text: content.text ?? '' }
    const locale = content.kind === 'template' ? content.locale : undefined
    const template = await this.#templateOf(content, critical)
    const variables = { app: this.globals, locale: locale ?? 'en' }
    return template.render({ data: JSON.parse(content.data) as JsonObject, variables }, critical)
  }

  async inspect(content: Content, critical: Critical): Promise<TemplateNotes> {
    if (content.kind === 'literal') return { findings: [], warnings: [] }
    const { findings, warnings } = (await this.#templateOf(content, critical)).compiled
    return { findings, warnings }
  }

  #templateOf(content: Exclude<Content, { kind: 'literal' }>, critical: Critical): Promise<Template> {
    return content.kind === 'template'
      ? this.templates.named(content.name, content.locale, critical)
      : this.templates.adHoc(content.source, critical)
  }
}

/** A mailer without a template folder: ad-hoc sources only. */
class NoTemplates implements Templates {
  readonly #adHoc = new AdHocTemplates()

  async catalogue(): Promise<Catalogue> {
    return { templates: [] }
  }

  async named(name: string): Promise<never> {
    throw unknownTemplate(name, [])
  }

  async adHoc(source: string, critical: Critical) {
    return this.#adHoc.get(source, 0, partsWithout(BUILT_IN), BUILT_IN, critical)
  }
}
