import { parseJson } from '../../src/protocol/parseJson.js'
import type { Content, JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import type { TemplateListing, TemplateNotes, TemplateSetup } from '../../src/protocol/templateManifest.js'
import { ApplicationModules, type LogFunction, NO_MODULES } from './applicationModules.js'
import type { Helpers } from './bind/helperCall.js'
import type { RenderableTemplate } from './languages/language.js'
import type { CriticalSection, LoadModule, Renderer, RenderRequest } from './renderer.js'
import { BuiltTemplates } from './sources/builtTemplates.js'
import { FolderTemplates } from './sources/folderTemplates.js'
import {
  AdHocTemplates,
  BUILT_IN_HELPERS,
  type LoadFile,
  partsWithoutFolder,
  type TemplateSource,
  unknownTemplateError,
} from './sources/templateSource.js'
import type { BoundParts } from './template.js'

export interface RendererSetup {
  /** Milliseconds that compiling a template may take before it is rendered per message. @default no limit */
  compileLimit?: number
  templates?: TemplateSetup & {
    /** Check for changed files while running. @default true */
    reload?: boolean
  }
  /** Receives the log lines of the application's modules. @default discards them */
  log?: LogFunction
}

/** Creates the renderer of one thread. It renders templates of a folder (sources, or compiled ahead of time) and ad-hoc sources. */
export function createRenderer({
  templates,
  log = () => undefined,
  compileLimit = Infinity,
}: RendererSetup): Renderer {
  const bare = new NoTemplates(compileLimit, templates?.urlSchemes)
  if (templates === undefined) return new ThreadRenderer(bare, {}, NO_MODULES, bare)
  const { dir, globals, reload = true, ...modules } = templates
  const application = new ApplicationModules(modules, globals, log)
  const source = BuiltTemplates.isIn(dir)
    ? new BuiltTemplates(dir, application, compileLimit)
    : new FolderTemplates(dir, reload, application, compileLimit, log)
  return new ThreadRenderer(source, globals, application, bare, modules.urlSchemes)
}

class ThreadRenderer implements Renderer {
  #activeRenders = 0
  #onIdle: (() => void) | undefined

  constructor(
    private readonly templates: TemplateSource,
    private readonly globals: JsonObject,
    private readonly application: ApplicationModules,
    /** For MJML that must see nothing of the application. */
    private readonly bare: NoTemplates,
    private readonly urlSchemes?: readonly string[],
  ) {}

  async ready(): Promise<void> {
    // Helpers of the folder load here too, outside any message. An error in the folder is reported by the call that needs it.
    await this.templates.catalogue().catch(() => undefined)
    await this.application.helpers()
  }

  async catalogue(): Promise<TemplateListing> {
    const { templates, ...rest } = await this.templates.catalogue()
    const { urlSchemes } = this
    return {
      ...rest,
      templates: urlSchemes === undefined ? templates : templates.map((each) => ({ ...each, urlSchemes })),
    }
  }

  recheck(): void {
    this.templates.recheck?.()
  }

  async render(order: RenderRequest, critical: CriticalSection): Promise<RenderedParts> {
    const { subject, preheader, html, text } = await this.bind(order, critical)
    return { subject, preheader, html, text }
  }

  bind(order: RenderRequest, critical: CriticalSection): BoundParts | Promise<BoundParts> {
    return this.application.hasSetup
      ? this.#counted(() => this.#renderContent(order, critical))
      : this.#renderContent(order, critical)
  }

  async close(): Promise<void> {
    if (this.#activeRenders > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    await this.application.close()
  }

  /** Counts renders and loads in progress, so that `close()` waits until none uses the application's resources. */
  async #counted<T>(work: () => T | Promise<T>): Promise<T> {
    this.#activeRenders++
    try {
      return await work()
    } finally {
      if (--this.#activeRenders === 0) this.#onIdle?.()
    }
  }

  #renderContent(
    { content, context }: RenderRequest,
    critical: CriticalSection,
  ): BoundParts | Promise<BoundParts> {
    if (content.kind === 'raw') return { subject: '', preheader: '', html: '', text: '' }
    if (content.kind === 'literal')
      return { subject: '', preheader: '', html: content.html ?? '', text: content.text ?? '' }
    const render = (template: RenderableTemplate): BoundParts | Promise<BoundParts> => {
      const locale = content.kind === 'template' ? content.locale : undefined
      const app = content.kind === 'mjml' && content.untrusted === true ? {} : this.globals
      const variables = { app, context, locale: locale ?? 'en' }
      return template.render({ data: parseJson(content.data) as JsonObject, variables }, critical)
    }
    const template = this.#templateOf(content, critical)
    return template instanceof Promise ? template.then(render) : render(template)
  }

  loadModule(content: Content): LoadModule | undefined | Promise<LoadModule | undefined> {
    if (content.kind !== 'template') return undefined
    const file = this.templates.loadFile(content.name)
    if (file === undefined) return undefined
    if (file instanceof Promise)
      // A folder that can't be read is reported when the template is rendered.
      return file.then(
        (read) => read && this.#withApp(read),
        () => undefined,
      )
    return this.#withApp(file)
  }

  #withApp(file: LoadFile): LoadModule {
    const { application } = this
    return {
      ...file,
      withApp: (work) =>
        this.#counted(async () => {
          await application.helpers()
          return work(application.app)
        }),
    }
  }

  async inspect(content: Content, critical: CriticalSection): Promise<TemplateNotes> {
    if (content.kind === 'literal' || content.kind === 'raw') return { findings: [], warnings: [] }
    const { language = 'mjml', findings, warnings } = (await this.#templateOf(content, critical)).compiled
    return { language, findings, warnings }
  }

  #templateOf(
    content: Exclude<Content, { kind: 'literal' | 'raw' }>,
    critical: CriticalSection,
  ): RenderableTemplate | Promise<RenderableTemplate> {
    return content.kind === 'template'
      ? this.templates.byName(content.name, content.locale, critical)
      : content.untrusted === true
        ? this.bare.adHoc(content.source, critical)
        : this.templates.adHoc(content.source, critical)
  }
}

/** The source of a mailer without a template folder: ad-hoc templates only. */
class NoTemplates implements TemplateSource {
  readonly #adHoc: AdHocTemplates

  readonly #helpers: Helpers

  constructor(compileLimit: number, urlSchemes?: readonly string[]) {
    this.#adHoc = new AdHocTemplates(compileLimit)
    this.#helpers = urlSchemes === undefined ? BUILT_IN_HELPERS : { ...BUILT_IN_HELPERS, urlSchemes }
  }

  async catalogue(): Promise<TemplateListing> {
    return { templates: [] }
  }

  loadFile(): undefined {
    return undefined
  }

  async byName(name: string): Promise<never> {
    throw unknownTemplateError(name, [])
  }

  async adHoc(source: string, critical: CriticalSection) {
    return this.#adHoc.get(source, 0, partsWithoutFolder(BUILT_IN_HELPERS), this.#helpers, critical)
  }
}
