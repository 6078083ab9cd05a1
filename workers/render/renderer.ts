import type { Content, JsonObject, RenderedParts } from '../../src/protocol/tasks.js'
import type { TemplateListing, TemplateNotes } from '../../src/protocol/templateManifest.js'
import type { BoundParts } from './template.js'

/**
 * Runs synchronous work that may execute a template's own code or cost CPU. While it runs the delivery is in phase
 * `rendering`, so that an endless loop or a crash in it is blamed on this message and no other; its time is
 * added to the step's timing.
 */
export type Critical = <T>(step: 'compile' | 'render', work: () => T) => T

/** What is rendered, and for whom. */
export interface RenderOrder {
  content: Content
  /** What templates see as `@context`. */
  context?: JsonObject
}

export interface Renderer {
  /** Sets up what the application brings, unless it is. @throws Error where that fails */
  ready(): Promise<void>
  /** Every template of the folder. @throws TemplateFailure when the folder can't be read. */
  catalogue(): Promise<TemplateListing>
  /**
   * The parts of one message. All user code (helpers, binding, MJML) runs inside `critical`.
   * The subject is empty where the content has none of its own.
   * @throws TemplateFailure
   */
  render(order: RenderOrder, critical: Critical): Promise<RenderedParts>
  /**
   * As `render`, and with the HTML also as the row of pieces it was bound from: constants, which are the same strings
   * for every message of a template, and values. For whoever encodes the HTML and wants to encode constants once.
   * At once where nothing has to be read or compiled, since each wait costs a message as much as binding a few values.
   */
  bind(order: RenderOrder, critical: Critical): BoundParts | Promise<BoundParts>
  /** How a template compiles. @throws TemplateFailure */
  inspect(content: Content, critical: Critical): Promise<TemplateNotes>
  /** Lets go of what the application opened, once nothing is rendered any more. */
  close(): Promise<void>
}
