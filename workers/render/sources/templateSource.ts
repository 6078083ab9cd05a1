import type { TemplateListing } from '../../../src/protocol/templateManifest.js'
import { fallbacks } from '../helpers/translate.js'
import type { Critical } from '../renderer.js'
import type { Template } from '../template.js'
import { TemplateFailure } from '../template/source.js'

/** Where templates come from: a folder of sources, or what `threadpost build` made of one. */
export interface Templates {
  catalogue(): Promise<TemplateListing>
  /**
   * At once where it was asked for before, since most messages ask for what is known.
   * @throws TemplateFailure `UNKNOWN_TEMPLATE`, or with what is wrong in the source.
   */
  named(name: string, locale: string | undefined, critical: Critical): Template | Promise<Template>
  /** A source that came with a message. @throws TemplateFailure */
  adHoc(source: string, critical: Critical): Promise<Template>
}

/** The variant for a locale: `fr-CA`, then `fr`, then the default. */
export function variantOf<T>(variants: ReadonlyMap<string, T>, locale: string | undefined): T | undefined {
  for (const name of fallbacks(locale?.toLowerCase())) {
    const variant = variants.get(name)
    if (variant !== undefined) return variant
  }
  return variants.get('')
}

export function unknownTemplate(name: string, known: Iterable<string>): TemplateFailure {
  const names = [...known].slice(0, 20).join(', ')
  return new TemplateFailure(
    'UNKNOWN_TEMPLATE',
    `There is no template ${JSON.stringify(name.slice(0, 100))}. Known: ${names === '' ? 'none' : names}`,
  )
}
