import type { Catalogue, JsonObject, RenderedParts } from '../../src/wire.js'
import type { Critical, Renderer, RenderOrder } from './renderer.js'
import { AdHocTemplates, BUILT_IN, partsWithout } from './store/adHoc.js'
import { BuiltTemplates } from './store/builtTemplates.js'
import { FolderTemplates } from './store/folderTemplates.js'
import type { Templates } from './store/templates.js'
import { unknownTemplate } from './store/variants.js'
import type { BoundParts } from './template.js'

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

  async render(order: RenderOrder, critical: Critical): Promise<RenderedParts> {
    const { subject, preheader, html, text } = await this.bind(order, critical)
    return { subject, preheader, html, text }
  }

  async bind({ content, context }: RenderOrder, critical: Critical): Promise<BoundParts> {
    if (content.kind === 'literal')
      return { subject: '', preheader: '', html: content.html ?? '', text: content.text ?? '' }
    const locale = content.kind === 'template' ? content.locale : undefined
    const template =
      content.kind === 'template'
        ? await this.templates.named(content.name, locale, critical)
        : await this.templates.adHoc(content.source, critical)
    const variables = { app: this.globals, context, locale: locale ?? 'en' }
    return template.render({ data: content.data, variables }, critical)
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
