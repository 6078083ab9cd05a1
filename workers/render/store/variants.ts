import { TemplateFailure } from '../failure.js'
import { fallbacks } from '../helpers/translate.js'

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
