import { templateError } from '../template/parse.js'
import type { AttributeNode, Place, ValueNode } from '../template/tree.js'

/** How values become text, exactly as Handlebars does it. */

/** What helpers return to say that their text is HTML already, as Handlebars' SafeString does. */
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

/** Null and undefined are nothing; everything else is what JavaScript makes of it. */
export function stringifyValue(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (isSafeString(value)) return value.toHTML()
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- "[object Object]" is what Handlebars prints
  return String(value)
}

/** Handlebars' notion of nothing: falsy except 0, or an empty list. */
export function isEmpty(value: unknown): boolean {
  return (!value && value !== 0) || (Array.isArray(value) && value.length === 0)
}

/** Own properties only: what a prototype has is not data. */
export function ownField(value: unknown, name: string): unknown {
  if (value === null || value === undefined) return undefined
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}

const MJML_TAG = /<\/?(?:mj-|mjml\b)/i

/** Data can't open MJML: a raw value with its tags is refused, whichever way the template is bound. */
export function rejectMjml(html: string, at: Place): string {
  if (MJML_TAG.test(html)) throw templateError('the raw value bound here holds MJML tags', at)
  return html
}

const SAFE_SCHEMES = new Set(['http', 'https', 'mailto', 'tel', 'cid'])
const SCHEME = /^([a-z][a-z0-9+.-]*):/i
/** Browsers skip these when they look for a scheme. */

const SKIPPED = /[\u0000-\u0020\u007f-\u00a0\u200b\u2028\u2029\ufeff]+/g

/** A bound URL may name a web page, an address or a part of the mail; never a script. */
export function rejectScriptUrl(value: string, node: AttributeNode | ValueNode): string {
  const url = decodeBound(value).replace(SKIPPED, '')
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase()
  if (scheme !== undefined && !SAFE_SCHEMES.has(scheme))
    throw templateError(
      `the URL bound here has the scheme '${scheme.slice(0, 20)}:'; http, https, mailto, tel and cid are allowed`,
      node.at,
    )
  return value
}

/** A reader decodes references before it looks for the scheme, so they are decoded here too, even unfinished ones. */
function decodeBound(value: string): string {
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
