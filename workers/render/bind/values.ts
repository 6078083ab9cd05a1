import { templateError } from '../template/parse.js'
import type { AttributeNode, Place, ValueNode } from '../template/tree.js'

/** Converts values to text exactly as Handlebars does, and rejects text that is not allowed in a mail. */

/** A helper's result that is already HTML, like Handlebars' SafeString. */
interface SafeText {
  toHTML(): string
}

export function isSafeString(value: unknown): value is SafeText {
  return (
    typeof value === 'object' && value !== null && 'toHTML' in value && typeof value.toHTML === 'function'
  )
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#x27;',
  '`': '&#x60;',
  '=': '&#x3D;',
}
const SPECIAL = /[&<>"'`=]/
const SPECIALS = /[&<>"'`=]/g

export function escapeHtml(text: string): string {
  return SPECIAL.test(text) ? text.replace(SPECIALS, (character) => ENTITIES[character]!) : text
}

/** Converts a value to text: null and undefined to nothing, everything else as `String()` does. */
export function stringifyValue(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (isSafeString(value)) return value.toHTML()
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- Handlebars prints "[object Object]" too
  return String(value)
}

/** Whether Handlebars regards a value as empty: falsy except 0, or an empty list. */
export function isEmpty(value: unknown): boolean {
  return (!value && value !== 0) || (Array.isArray(value) && value.length === 0)
}

/** Returns an own property. Properties of a prototype are not data. */
export function ownField(value: unknown, name: string): unknown {
  if (value === null || value === undefined) return undefined
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

const MJML_TAG = /<\/?(?:mj-|mjml\b)/i

/** Rejects a raw value with MJML tags, whether or not the template is precompiled: data must not add components. */
export function rejectMjml(html: string, at: Place): string {
  if (MJML_TAG.test(html)) throw templateError('the raw value of this expression contains MJML tags', at)
  return html
}

const SAFE_SCHEMES = new Set(['http', 'https', 'mailto', 'tel', 'cid'])
const SCHEME = /^([a-z][a-z0-9+.-]*):/i
/** Browsers ignore these characters when they parse a scheme. */
const SKIPPED = /[\u0000-\u0020\u007f-\u00a0\u200b\u2028\u2029\ufeff]+/g

/** Rejects a URL whose scheme is not http, https, mailto, tel or cid, such as `javascript:`. */
export function rejectScriptUrl(value: string, node: AttributeNode | ValueNode): string {
  const scheme = forbiddenScheme(value)
  if (scheme !== undefined)
    throw templateError(
      `the URL has the scheme '${scheme.slice(0, 20)}:', but only http, https, mailto, tel and cid are allowed`,
      node.at,
    )
  return value
}

/** Returns the scheme of a URL in HTML, if it is not one of those above. */
export function forbiddenScheme(value: string): string | undefined {
  const url = decodeReferences(value).replace(SKIPPED, '')
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase()
  return scheme === undefined || SAFE_SCHEMES.has(scheme) ? undefined : scheme
}

/** Decodes character references, even without a semicolon, because mail clients decode them before they parse the scheme. */
function decodeReferences(value: string): string {
  if (!value.includes('&')) return value
  return value.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(colon|tab|newline|amp));?/gi,
    (all, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return { colon: ':', tab: '', newline: '', amp: '&' }[name.toLowerCase()] ?? all
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
      return code <= 0x10ffff ? String.fromCodePoint(code) : all
    },
  )
}
