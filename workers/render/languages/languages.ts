import type { VariantSource } from '../template/parseTemplate.js'
import { extensionOf } from './extensions.js'
import { htmlLanguage } from './htmlLanguage.js'
import type { TemplateLanguage } from './language.js'
import { mjmlLanguage } from './mjmlLanguage.js'
import { reactLanguage } from './reactLanguage.js'

const LANGUAGES: readonly TemplateLanguage[] = [mjmlLanguage, htmlLanguage, reactLanguage]

/** Returns the language of a variant. A template that is only a text part belongs to MJML, which runs for none of it. */
export function languageOf({ main }: VariantSource): TemplateLanguage {
  if (main === undefined) return mjmlLanguage
  const extension = extensionOf(main)
  return LANGUAGES.find(({ extensions }) => extensions.includes(extension)) ?? mjmlLanguage
}

/** Returns the language of a compiled template. */
export function languageNamed(name: string | undefined): TemplateLanguage {
  return LANGUAGES.find((language) => language.name === name) ?? mjmlLanguage
}
