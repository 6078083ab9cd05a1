import { type Calendar, ThreadpostError } from '../index.js'
import { calendarOf } from '../message/calendar.js'
import { type Validator, isPlainObject } from '../validation.js'
import { textOf } from './attachmentMapping.js'

/** The METHOD of an iCalendar object (RFC 5545 section 3.7.2), which precedes its components. */
const METHOD = /^METHOD(?:;[^:\r\n]*)?:([^\r\n]*)$/im

/** An event with its method: that of the content, if the event has none of its own. */
interface CalendarEvent {
  content: string
  method: string
  /** nodemailer's form, for its composer. */
  fields: Record<string, unknown>
}

/**
 * Converts `icalEvent`. nodemailer labels an event without a method as PUBLISH; here its content decides first.
 * @returns undefined if nodemailer's composer must build it: it has no UID, a method that the core doesn't know, or its own headers
 * @throws ThreadpostError `INVALID_MESSAGE` if its method is not that of its content
 */
export function toCalendar(value: unknown, check: Validator): Calendar | undefined {
  const event = eventOf(value, check)
  if (event === undefined || event.fields['headers'] !== undefined) return undefined
  const { content, method, fields } = event
  const calendar = {
    content,
    method: method as Exclude<Calendar['method'], undefined>,
    ...(typeof fields['filename'] === 'string' ? { filename: fields['filename'] } : {}),
  }
  try {
    calendarOf(calendar, check)
    return calendar
  } catch (error) {
    if (error instanceof ThreadpostError) return undefined
    throw error
  }
}

/** Returns `icalEvent` for nodemailer's composer, with a method. */
export function withMethod(value: unknown, check: Validator): unknown {
  const event = eventOf(value, check)
  return event === undefined ? value : { ...event.fields, content: event.content, method: event.method }
}

/** @returns undefined if the event is a finished MIME part */
function eventOf(value: unknown, check: Validator): CalendarEvent | undefined {
  const { encoding, ...fields }: Record<string, unknown> = isPlainObject(value) ? value : { content: value }
  if (fields['raw'] !== undefined) return undefined
  const content = textOf({ content: fields['content'], encoding }, 'icalEvent', check)
  const own = METHOD.exec(content)?.[1]?.trim().toUpperCase()
  const given =
    fields['method'] === undefined ? undefined : check.string(fields['method'], 'icalEvent.method')
  const method = (given ?? own ?? 'PUBLISH').trim().toUpperCase()
  if (own !== undefined && own !== method)
    check.fail('icalEvent.method', `is not the METHOD in the content, which is ${own.slice(0, 20)}`)
  return { content, method, fields }
}
