import type { Content, JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from '../../src/protocol/templateManifest.js'
import { Application, type Log, NO_APPLICATION } from './application.js'
import type { Critical, Renderer, RenderOrder } from './renderer.js'
import { AdHocTemplates, BUILT_IN, partsWithout } from './sources/adHoc.js'
import { BuiltTemplates } from './sources/builtTemplates.js'
import { FolderTemplates } from './sources/folderTemplates.js'
import { type Templates, unknownTemplate } from './sources/templateSource.js'
import type { BoundParts, Template } from './template.js'

export interface RendererSetup {
  templates?: TemplateSetup & {
    /** Look for changed files while running. @default true */
    reload?: boolean
  }
  /** Where the application's modules write. @default nowhere */
  log?: Log
}

/** The renderer of one thread: templates of a folder (of sources, or compiled ahead) and ad-hoc sources. */
export function createRenderer({ templates, log = () => undefined }: RendererSetup): Renderer {
  if (templates === undefined) return new ThreadRenderer(new NoTemplates(), {}, NO_APPLICATION)
  const { dir, globals, reload = true, ...modules } = templates
  const application = new Application(modules, globals, log)
  const store = BuiltTemplates.isIn(dir)
    ? new BuiltTemplates(dir, application)
    : new FolderTemplates(dir, reload, application)
  return new ThreadRenderer(store, globals, application)
}

class ThreadRenderer implements Renderer {
  #binding = 0
  #idle: (() => void) | undefined

  constructor(
    private readonly templates: Templates,
    private readonly globals: JsonObject,
    private readonly application: Application,
  ) {}

  async ready(): Promise<void> {
    // Helpers of the folder are no message's either. What is wrong with the folder is told to whoever needs it.
    await this.templates.catalogue().catch(() => undefined)
    await this.application.helpers()
  }

  catalogue(): Promise<TemplateListing> {
    return this.templates.catalogue()
  }

  async render(order: RenderOrder, critical: Critical): Promise<RenderedParts> {
    const { subject, preheader, html, text } = await this.bind(order, critical)
    return { subject, preheader, html, text }
  }

  bind(order: RenderOrder, critical: Critical): BoundParts | Promise<BoundParts> {
    return this.application.hasSetup ? this.#counted(order, critical) : this.#bind(order, critical)
  }

  async close(): Promise<void> {
    if (this.#binding > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    await this.application.close()
  }

  /** What the application opened is closed only when nothing uses it any more. */
  async #counted(order: RenderOrder, critical: Critical): Promise<BoundParts> {
    this.#binding++
    try {
      return await this.#bind(order, critical)
    } finally {
      if (--this.#binding === 0) this.#idle?.()
    }
  }

  #bind({ content, context }: RenderOrder, critical: Critical): BoundParts | Promise<BoundParts> {
    if (content.kind === 'literal')
      return { subject: '', preheader: '', html: content.html ?? '', text: content.text ?? '' }
    const render = (template: Template): BoundParts | Promise<BoundParts> => {
      const locale = content.kind === 'template' ? content.locale : undefined
      const variables = { app: this.globals, context, locale: locale ?? 'en' }
      return template.render({ data: JSON.parse(content.data) as JsonObject, variables }, critical)
    }
    const template = this.#templateOf(content, critical)
    return template instanceof Promise ? template.then(render) : render(template)
  }

  async inspect(content: Content, critical: Critical): Promise<TemplateNotes> {
    if (content.kind === 'literal') return { findings: [], warnings: [] }
    const { findings, warnings } = (await this.#templateOf(content, critical)).compiled
    return { findings, warnings }
  }

  #templateOf(
    content: Exclude<Content, { kind: 'literal' }>,
    critical: Critical,
  ): Template | Promise<Template> {
    return content.kind === 'template'
      ? this.templates.named(content.name, content.locale, critical)
      : this.templates.adHoc(content.source, critical)
  }
}

/** A mailer without a template folder: ad-hoc sources only. */
class NoTemplates implements Templates {
  readonly #adHoc = new AdHocTemplates()

  async catalogue(): Promise<TemplateListing> {
    return { templates: [] }
  }

  async named(name: string): Promise<never> {
    throw unknownTemplate(name, [])
  }

  async adHoc(source: string, critical: Critical) {
    return this.#adHoc.get(source, 0, partsWithout(BUILT_IN), BUILT_IN, critical)
  }
}
