import { CALENDAR_METHODS, type JobAttachment } from '../protocol/tasks.js'
import { type Validator, forbidNul, isBytes } from '../validation.js'
import { filenameOf } from './attachments.js'

/**
 * Reads a calendar object. It becomes an attachment with a method, which is also sent as the last alternative. Its line endings
 * become CRLF (RFC 5545 section 3.1), and its METHOD is that of the MIME part (RFC 6047 section 2.4).
 */
export function calendarOf(value: unknown, check: Validator): JobAttachment[] {
  if (value === undefined) return []
  const input = check.object(value, 'calendar', ['content', 'method', 'filename'])
  const given = input['content']
  const bytes = isBytes(given, 'calendar.content', check) ? Buffer.from(given).toString() : given
  const text = forbidNul(check.string(bytes, 'calendar.content'), 'calendar.content', check)
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?|\n/g, '\r\n')
    .trimEnd()
  // A line that begins with a space continues the one before (RFC 5545 section 3.1).
  const lines = text.replace(/\r\n[ \t]/g, '').split('\r\n')
  if (!/^BEGIN:VCALENDAR$/i.test(lines[0] ?? '') || !/^END:VCALENDAR$/i.test(lines.at(-1) ?? ''))
    check.fail('calendar.content', 'must be an iCalendar object, from BEGIN:VCALENDAR to END:VCALENDAR')
  const own = /^METHOD(?:;[^:]*)?:(.*)$/im.exec(lines.join('\n'))?.[1]?.trim().toUpperCase()
  const method = check.oneOf(input['method'] ?? own ?? 'REQUEST', 'calendar.method', CALENDAR_METHODS)
  if (own !== undefined && own !== method)
    check.fail('calendar.method', `is not the METHOD in the content, which is ${own.slice(0, 20)}`)
  if (!lines.some((line) => /^UID(?:;[^:]*)?:./i.test(line)))
    check.fail('calendar.content', 'has no UID, by which a calendar recognizes the event (RFC 5545)')
  const body = own === undefined ? text.replace('\r\n', `\r\nMETHOD:${method}\r\n`) : text
  const content = `${body}\r\n`
  return [
    {
      filename: filenameOf(input['filename'] ?? 'invite.ics', 'calendar.filename', check),
      content,
      size: Buffer.byteLength(content),
      contentType: 'application/ics',
      calendar: method,
    },
  ]
}
