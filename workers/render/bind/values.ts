/** How values become text, exactly as Handlebars does it. */

/** What helpers return to say that their text is HTML already, as Handlebars' SafeString does. */
interface SafeText {
  toHTML(): string
}

export function isSafe(value: unknown): value is SafeText {
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
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (isSafe(value)) return value.toHTML()
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- "[object Object]" is what Handlebars prints
  return String(value)
}

/** Handlebars' notion of nothing: falsy except 0, or an empty list. */
export function isEmpty(value: unknown): boolean {
  return (!value && value !== 0) || (Array.isArray(value) && value.length === 0)
}

/** Own properties only: what a prototype has is not data. */
export function field(value: unknown, name: string): unknown {
  if (value === null || value === undefined) return undefined
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}
