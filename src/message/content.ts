import { languageTag, localeFor } from '../context.js'
import type { Content, JsonObject, JsonText } from '../protocol/tasks.js'
import type { TemplateManifest } from '../protocol/templateManifest.js'
import { Validator, forbidNul } from '../validation.js'
import { toJsonText } from './json.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** What a caller's mail says: one kind of content, checked. @throws ThreadpostError `INVALID_MESSAGE` */
export function contentOf(mail: Record<string, unknown>): Content {
  const { template, mjml, html, text } = mail
  const isLiteral = html !== undefined || text !== undefined
  const kinds = Number(template !== undefined) + Number(mjml !== undefined) + Number(isLiteral)
  if (kinds === 0) check.fail('template', 'the mail has no content: give template, mjml, html or text')
  if (kinds > 1) {
    const given = (['template', 'mjml', 'html', 'text'] as const).filter((key) => mail[key] !== undefined)
    check.fail(given[1] ?? '', `goes not together with ${given[0]}: a mail has one kind of content`)
  }

  if (isLiteral) {
    for (const key of ['data', 'locale'] as const)
      if (mail[key] !== undefined)
        check.fail(key, 'html and text are sent as they are; only template and mjml bind data')
    const literal: Content = { kind: 'literal' }
    if (html !== undefined) literal.html = forbidNul(check.string(html, 'html'), 'html', check)
    if (text !== undefined) literal.text = forbidNul(check.string(text, 'text'), 'text', check)
    return literal
  }
  const data = toJsonText(mail['data'], 'data', check)
  if (mjml !== undefined) {
    if (mail['locale'] !== undefined) check.fail('locale', 'belongs to a template')
    return { kind: 'mjml', source: forbidNul(check.string(mjml, 'mjml'), 'mjml', check), data }
  }
  return templateContent(check.string(template, 'template', 200), data, mail['locale'])
}

/**
 * A mail that names no locale is in the language of whoever asked, where its template speaks it. Of a template that only
 * another process knows the preferred one is asked for.
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

/** The content of a template, for rendering without a mail around it. */
export function toTemplateContent(name: string, data: unknown, locale: unknown): Content {
  return templateContent(name, toJsonText(data, 'data', check), locale)
}

function templateContent(name: string, data: JsonText, locale: unknown): Content {
  if (locale === undefined) return { kind: 'template', name, data }
  return { kind: 'template', name, locale: languageTag(locale, 'locale'), data }
}

/** Bytes. */
export function sizeOfContent(content: Content): number {
  switch (content.kind) {
    case 'literal':
      return Buffer.byteLength(content.html ?? '') + Buffer.byteLength(content.text ?? '')
    case 'mjml':
      return Buffer.byteLength(content.source) + Buffer.byteLength(content.data)
    case 'template':
      return Buffer.byteLength(content.data)
  }
}
