import { isPlainObject } from '../validation.js'

/**
 * Replaces groups (RFC 5322 section 3.4: `Friends: a@x.example, b@x.example;`) in an address field with their members. The
 * members receive the message as nodemailer's do; the name of the group is not sent. Text that isn't a well-formed group is
 * left for the address parser to refuse.
 */
export function withoutGroups(value: unknown): unknown {
  if (typeof value === 'string') return membersOf(value) ?? value
  if (Array.isArray(value)) return value.flatMap((entry: unknown) => withoutGroups(entry))
  if (isPlainObject(value) && Array.isArray(value['group'])) return withoutGroups(value['group'])
  if (isPlainObject(value) && value['name'] === null) return { address: value['address'] }
  return value
}

/** Returns the addresses of a list with groups; undefined if it has none, or is not well-formed. */
function membersOf(text: string): string[] | undefined {
  if (!text.includes(':') || !text.includes(';')) return undefined
  const entries: string[] = []
  let start = 0
  let inGroup = false
  for (const [index, character] of delimitersOf(text)) {
    const part = text.slice(start, index).trim()
    if (character === ':' && !inGroup && isPhrase(part)) inGroup = true
    else if (character === ',' || (character === ';' && inGroup)) {
      if (part !== '') entries.push(part)
      if (character === ';') inGroup = false
    } else return undefined
    start = index + 1
  }
  const rest = text.slice(start).trim()
  if (rest !== '') entries.push(rest)
  return inGroup ? undefined : entries
}

/** The delimiters of a list, outside of quoted strings and angle brackets. */
function* delimitersOf(text: string): Generator<[index: number, character: string]> {
  let quoted = false
  let bracketed = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]!
    if (quoted && character === '\\') index++
    else if (character === '"') quoted = !quoted
    else if (quoted) continue
    else if (character === '<') bracketed = true
    else if (character === '>') bracketed = false
    else if (!bracketed && (character === ':' || character === ';' || character === ','))
      yield [index, character]
  }
}

/** A group's name is a phrase: words and quoted strings, without an address. */
function isPhrase(text: string): boolean {
  return text !== '' && /^(?:[^"@<>()[\]\\,;:]|"(?:[^"\\]|\\.)*")+$/.test(text)
}
