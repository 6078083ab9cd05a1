import { isAllowedScheme, refusedScheme, schemeOf } from '../../../src/protocol/urlSchemes.js'
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

/** Replaces each bound value in the text that `rejectScheme` receives. It is part of no scheme, and separates nothing. */
export const BOUND_VALUE = '\uFFFF'

/**
 * Rejects a URL whose scheme is not allowed, such as `javascript:`. A scheme that the template's author wrote is allowed.
 * @param authored the text that the template's author wrote, with {@link BOUND_VALUE} for each bound value
 */
export function rejectScheme(
  value: string,
  node: AttributeNode | ValueNode,
  allowed: readonly string[],
  authored = '',
): string {
  const isList = node.kind === 'attribute' ? node.checks.url === 'list' : node.loose === 'list'
  const schemes = (text: string) =>
    (isList ? decodeReferences(text).split(/[\s,]+/) : [decodeReferences(text)]).map(schemeOf)
  for (const scheme of schemes(value)) {
    if (isAllowedScheme(scheme, allowed) || schemes(authored).includes(scheme)) continue
    throw templateError(refusedScheme(scheme!, allowed), node.at)
  }
  return value
}

/** Returns the scheme of a URL in HTML, if it is not allowed. */
export function forbiddenScheme(value: string, allowed: readonly string[]): string | undefined {
  const scheme = schemeOf(decodeReferences(value))
  return isAllowedScheme(scheme, allowed) ? undefined : scheme
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
