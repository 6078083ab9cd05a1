import type { HeaderField } from '../mime/mimeStructure.js'
import { refusal, type SmtpRefusal } from './smtpReply.js'

/** A header field with its place in the message. `name` is in lower case; `end` includes its line break. */
export interface FieldSlice {
  name: string
  start: number
  end: number
}

/** The header of a message (RFC 5322 section 2.2); `end` is where the empty line begins that ends it. */
export interface HeaderSection {
  fields: FieldSlice[]
  end: number
}

const NAME = /([!-9;-~]+)[ \t]*:/y

/** Finds the fields of a header, reading each line once. */
export function headerSectionOf(
  octets: string,
  limits: { header: number; fields: number },
): HeaderSection | SmtpRefusal {
  const fields: FieldSlice[] = []
  let at = 0
  while (at < octets.length && !octets.startsWith('\r\n', at)) {
    const lineEnd = octets.indexOf('\r\n', at)
    const end = lineEnd === -1 ? octets.length : lineEnd + 2
    if (end > limits.header)
      return refusal(552, '5.3.4', `The header is larger than ${limits.header} bytes (limits.header)`)
    const last = fields.at(-1)
    if (last !== undefined && (octets[at] === ' ' || octets[at] === '\t')) last.end = end
    else {
      NAME.lastIndex = at
      const name = NAME.exec(octets)?.[1]
      if (name === undefined)
        return refusal(
          554,
          '5.6.0',
          `Line ${fields.length + 1} of the header is not a field (RFC 5322 section 2.2)`,
        )
      if (fields.length === limits.fields)
        return refusal(552, '5.3.4', `The header has more than ${limits.fields} fields (limits.fields)`)
      fields.push({ name: name.toLowerCase(), start: at, end })
    }
    at = end
  }
  return { fields, end: at }
}

/** The field, unfolded, with its octets read as UTF-8. */
export function toHeaderField(octets: string, { name, start, end }: FieldSlice): HeaderField {
  const line = octets.slice(start, end)
  const value = line.slice(line.indexOf(':') + 1).replace(/\r\n/g, '')
  return { name, value: Buffer.from(value, 'latin1').toString().trim() }
}

/** Fields with hidden recipients. */
export function isHidden(name: string): boolean {
  return name === 'bcc' || name === 'resent-bcc'
}

/** Fields that are not relayed: hidden recipients, and what the client says to threadpost. */
export function isStripped(name: string): boolean {
  return isHidden(name) || name.startsWith('x-threadpost-')
}
