import { languageTag, localeFor } from '../context.js'
import type { Content, JsonObject, JsonText } from '../protocol/tasks.js'
import type { TemplateManifest } from '../protocol/templateManifest.js'
import { Validator, forbidNul } from '../validation.js'
import { toJsonText } from './json.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** Reads and validates the content of a mail, which must be of exactly one kind. @throws ThreadpostError `INVALID_MESSAGE` */
export function contentOf(mail: Record<string, unknown>): Content {
  const { template, mjml, html, text } = mail
  if (mjml === undefined && mail['untrusted'] !== undefined)
    check.fail('untrusted', 'can only be used with mjml')
  const isLiteral = html !== undefined || text !== undefined
  const kinds = Number(template !== undefined) + Number(mjml !== undefined) + Number(isLiteral)
  if (kinds === 0) check.fail('template', 'the mail has no content; set template, mjml, html or text')
  if (kinds > 1) {
    const present = (['template', 'mjml', 'html', 'text'] as const).filter((key) => mail[key] !== undefined)
    check.fail(present[1] ?? '', `can't be combined with ${present[0]}: a mail has one kind of content`)
  }

  if (isLiteral) {
    for (const key of ['data', 'locale'] as const)
      if (mail[key] !== undefined)
        check.fail(key, 'html and text are sent unchanged; only template and mjml have placeholders')
    const literal: Content = { kind: 'literal' }
    if (html !== undefined) literal.html = forbidNul(check.string(html, 'html'), 'html', check)
    if (text !== undefined) literal.text = forbidNul(check.string(text, 'text'), 'text', check)
    return literal
  }
  const data = toJsonText(mail['data'], 'data', check)
  if (mjml !== undefined) {
    if (mail['locale'] !== undefined) check.fail('locale', 'can only be used with template')
    const content: Content = {
      kind: 'mjml',
      source: forbidNul(check.string(mjml, 'mjml'), 'mjml', check),
      data,
    }
    if (mail['untrusted'] !== undefined && check.boolean(mail['untrusted'], 'untrusted'))
      content.untrusted = true
    return content
  }
  return templateContent(check.string(template, 'template', 200), data, mail['locale'])
}

/**
 * Sets the locale of a mail that has none to the first language of its context that the template supports. If only another
 * process knows the template, the context's preferred locale is used.
 */
export function applyLocale(
  content: Content,
  context: JsonObject,
  manifest: TemplateManifest | undefined,
): void {
  if (content.kind !== 'template' || content.locale !== undefined) return
  const locale = manifest === undefined ? context['locale'] : localeFor(context, manifest.languages)
  if (typeof locale === 'string') content.locale = locale
}

/** Content for rendering a template without a mail. */
export function toTemplateContent(name: string, data: unknown, locale: unknown): Content {
  return templateContent(name, toJsonText(data, 'data', check), locale)
}

function templateContent(name: string, data: JsonText, locale: unknown): Content {
  if (locale === undefined) return { kind: 'template', name, data }
  return { kind: 'template', name, locale: languageTag(locale, 'locale'), data }
}

/** Size of the content in bytes. */
export function sizeOfContent(content: Content): number {
  switch (content.kind) {
    case 'raw':
      return content.octets.length
    case 'literal':
      return Buffer.byteLength(content.html ?? '') + Buffer.byteLength(content.text ?? '')
    case 'mjml':
      return Buffer.byteLength(content.source) + Buffer.byteLength(content.data)
    case 'template':
      return Buffer.byteLength(content.data)
  }
}
