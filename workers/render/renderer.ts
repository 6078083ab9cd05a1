import type { Content, JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import type { TemplateListing, TemplateNotes } from '../../src/protocol/templateManifest.js'
import type { BoundParts } from './template.js'

/**
 * Runs synchronous work that may execute a template's own code or use much CPU. Meanwhile the delivery is in phase
 * `rendering`, so that an endless loop or a crash is attributed to this message and no other. The duration is added to
 * the timing of the step.
 */
export type CriticalSection = <T>(step: 'load' | 'compile' | 'render', work: () => T) => T

/** The content to render, with the context of its message. */
export interface RenderRequest {
  content: Content
  /** Value that templates read as `@context`. */
  context?: JsonObject
}

/** The load module of a template, and the application's connections for it. */
export interface LoadModule {
  /** File name, as shown in messages. */
  name: string
  /** Absolute path. */
  path: string
  /** Runs work with the application's connections, once its setup module has run. They stay open until it ends. */
  withApp<T>(work: (app: Record<string, unknown>) => Promise<T>): Promise<T>
}

export interface Renderer {
  /** Loads the application's modules unless they are loaded. @throws Error if a module fails */
  ready(): Promise<void>
  /** Returns the manifests of all templates. @throws TemplateFailure if the folder can't be read */
  catalogue(): Promise<TemplateListing>
  /**
   * Returns the parts of one message. All user code (helpers, binding, MJML) runs inside `critical`.
   * The subject is empty if the content has none.
   * @throws TemplateFailure
   */
  render(order: RenderRequest, critical: CriticalSection): Promise<RenderedParts>
  /**
   * Like `render`, but also returns the HTML as pieces: constants, which are the same strings for every message of a
   * template, and values. The composer uses them to encode each constant once.
   * Synchronous if nothing has to be read or compiled, because each `await` costs as much as binding a few values.
   */
  bind(order: RenderRequest, critical: CriticalSection): BoundParts | Promise<BoundParts>
  /** Returns the load module of a content's template, if it has one. Synchronous if the folder is already read. */
  loadModule(content: Content): LoadModule | undefined | Promise<LoadModule | undefined>
  /** Looks for changed files soon, although it has looked recently: a preview shows them. */
  recheck(): void
  /** Returns the findings and warnings of a template. @throws TemplateFailure */
  inspect(content: Content, critical: CriticalSection): Promise<TemplateNotes>
  /** Closes the application's resources once no render is in progress. */
  close(): Promise<void>
}
