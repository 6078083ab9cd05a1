import { Validator, isPlainObject } from '../validation.js'
import { composedAttachmentField } from './attachmentMapping.js'
import { unsupported, without } from './fields.js'
import { toCalendar } from './icalEvent.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** Fields that only nodemailer's composer can build. */
const COMPOSED = ['alternatives', 'amp', 'watchHtml', 'otp'] as const
/** Fields of a message whose content a worker thread renders. */
const RENDERED = ['template', 'mjml'] as const
/** The content that nodemailer's composer builds, which isn't mapped then. */
const CONTENT = ['text', 'html', 'attachments', 'icalEvent', ...COMPOSED]
/** Header fields of a part. In a message of one part they are those of the message, where others would name recipients. */
const PART_HEADER = /^(?:content|x)-[\w-]+$/i

/**
 * Returns the first field that the core has no form for, so that nodemailer's composer builds the message; undefined if the core
 * can build it.
 */
export function composedField(input: Readonly<Record<string, unknown>>): string | undefined {
  const named = COMPOSED.find((field) => isGiven(input[field]))
  if (named !== undefined) return named
  if (isGiven(input['icalEvent']) && toCalendar(input['icalEvent'], check) === undefined) return 'icalEvent'
  for (const field of ['text', 'html'] as const) {
    const value = input[field]
    if (isPlainObject(value) && value['raw'] !== undefined) return `${field}.raw`
  }
  const attachment = composedAttachmentField(input['attachments'])
  if (attachment !== undefined) return attachment
  if (RENDERED.some((field) => input[field] !== undefined)) return undefined
  return ['encoding', 'textEncoding'].find((field) => /^(?:b|base64)$/i.test(String(input[field])))
}

/**
 * Returns the message without the content that nodemailer's composer builds.
 * @throws ThreadpostError `UNSUPPORTED` if a worker thread would have to render it, or for a header of a part
 */
export function withoutComposedContent(
  input: Readonly<Record<string, unknown>>,
  field: string,
): Record<string, unknown> {
  for (const rendered of RENDERED)
    if (input[rendered] !== undefined)
      unsupported(field, `It can't be combined with ${rendered}, which a worker thread renders.`)
  for (const list of ['attachments', 'alternatives'] as const)
    for (const [index, entry] of entriesOf(input[list]).entries()) checkPart(entry, `${list}[${index}]`)
  for (const part of ['amp', 'watchHtml', 'icalEvent', 'text', 'html'] as const) checkPart(input[part], part)
  return without(input, CONTENT)
}

function entriesOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]
}

function checkPart(entry: unknown, path: string): void {
  if (!isPlainObject(entry)) return
  const { headers } = entry
  if (headers === undefined || headers === null) return
  const lines = Array.isArray(headers)
    ? headers.map((line: unknown) => (isPlainObject(line) ? [line['key'], line['value']] : [line, undefined]))
    : Object.entries(isPlainObject(headers) ? headers : {})
  for (const [name, value] of lines) {
    const at = `${path}.headers.${String(name).slice(0, 80)}`
    if (!PART_HEADER.test(String(name))) unsupported(at, 'The headers of a part are Content-* and X-*.')
    for (const line of Array.isArray(value) ? value : [value])
      if (isPlainObject(line)) unsupported(at, 'A prepared header would skip validation: pass its text.')
  }
}

/** Whether a field asks for something. nodemailer ignores an empty one. */
function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return value !== undefined && value !== null && value !== false && value !== ''
}
