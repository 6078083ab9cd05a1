import { ThreadpostError } from '../errors.js'
import { type Suppression, toSuppression } from './suppression.js'

const COLUMNS = ['address', 'reason', 'stream', 'since', 'expiresAt', 'detail'] as const

export const CSV_HEADER = `${COLUMNS.join(',')}\r\n`

/** One line of the export (RFC 4180). */
export function toCsvLine(entry: Suppression): string {
  return `${COLUMNS.map((column) => toField(entry[column] ?? '')).join(',')}\r\n`
}

/** A spreadsheet would take a field that begins with one of these for a formula; an apostrophe makes it text. */
const FORMULA = /^[=+\-@\t\r]/

function toField(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

function fromField(text: string): string {
  const trimmed = text.trim()
  return trimmed.startsWith("'") && FORMULA.test(trimmed.slice(1)) ? trimmed.slice(1) : trimmed
}

/** A line of an import: an entry, or what is wrong with the line. */
export interface CsvEntry {
  line: number
  entry: Suppression | string
}

/**
 * Reads an import line by line.
 * @param now milliseconds since the epoch
 * @throws ThreadpostError `INVALID_MESSAGE` if the first line does not name a column `address` or `email`
 */
export function* parseCsv(text: string, now: number): Generator<CsvEntry, void, undefined> {
  const rows = readRows(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)
  const header = rows.next().value?.fields.map((name) => name.trim().toLowerCase()) ?? []
  const place = (name: string): number => header.indexOf(name.toLowerCase())
  const addressPlace = place('address') === -1 ? place('email') : place('address')
  if (addressPlace === -1)
    throw new ThreadpostError(
      'INVALID_MESSAGE',
      "The first line of the CSV must name its columns, among them 'address'",
    )
  for (const { line, fields } of rows) {
    if (fields.length === 1 && fields[0]!.trim() === '') continue
    const field = (name: string): string => fromField(fields[place(name)] ?? '')
    const input: Record<string, string> = {
      address: fromField(fields[addressPlace] ?? ''),
      reason: field('reason').toLowerCase() || 'manual',
    }
    for (const name of ['stream', 'expiresAt', 'detail'] as const)
      if (field(name) !== '') input[name] = field(name)
    yield { line, entry: entryOf(input, field('since'), now) }
  }
}

function entryOf(input: Record<string, string>, since: string, now: number): Suppression | string {
  try {
    const entry = toSuppression(input, now)
    const time = since === '' ? NaN : Date.parse(since)
    if (Number.isFinite(time) && time > 0 && time < now) entry.since = new Date(time).toISOString()
    return entry
  } catch (error) {
    if (error instanceof ThreadpostError) return error.message
    throw error
  }
}

interface CsvRow {
  /** The line on which the row begins. */
  line: number
  fields: string[]
}

/** Reads each character once. */
function* readRows(text: string): Generator<CsvRow, undefined, undefined> {
  let line = 1
  let row: CsvRow = { line, fields: [] }
  let field = ''
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '\n') line++
    if (quoted) {
      if (character !== '"') field += character
      else if (text[at + 1] === '"') field += text[++at]!
      else quoted = false
    } else if (character === '"' && field === '') quoted = true
    else if (character === ',') {
      row.fields.push(field)
      field = ''
    } else if (character === '\n') {
      row.fields.push(field.endsWith('\r') ? field.slice(0, -1) : field)
      field = ''
      yield row
      row = { line, fields: [] }
    } else field += character
  }
  if (field !== '' || row.fields.length > 0) yield { ...row, fields: [...row.fields, field] }
  return undefined
}
