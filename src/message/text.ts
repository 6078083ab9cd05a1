import type { Checker } from '../check.js'

/** C0 and C1 controls, DEL, and the two Unicode line separators: what could end a header line somewhere. */
export const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu

/** Refuses what has no place in an address, a subject, a file name or a header. */
export function forbidControls(text: string, path: string, check: Checker): string {
  const found = text.match(CONTROL)?.[0]
  if (found !== undefined) check.fail(path, `contains the control character ${codePoint(found)}`)
  if (!text.isWellFormed()) check.fail(path, 'contains half of a surrogate pair')
  return text
}

/** Bodies may hold line breaks and tabs; only NUL is refused. */
export function forbidNul(text: string, path: string, check: Checker): string {
  if (text.includes('\0')) check.fail(path, 'contains a NUL character')
  return text
}

function codePoint(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}
