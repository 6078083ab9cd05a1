import type { Catalogue } from '../../../src/wire/templates.js'
import type { Critical } from '../renderer.js'
import type { Template } from '../template.js'

/** Where templates come from: a folder of sources, or what `threadpost build` made of one. */
export interface Templates {
  catalogue(): Promise<Catalogue>
  /**
   * At once where it was asked for before, since most messages ask for what is known.
   * @throws TemplateFailure `UNKNOWN_TEMPLATE`, or with what is wrong in the source.
   */
  named(name: string, locale: string | undefined, critical: Critical): Template | Promise<Template>
  /** A source that came with a message. @throws TemplateFailure */
  adHoc(source: string, critical: Critical): Promise<Template>
}
