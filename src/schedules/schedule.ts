import { toJsonObject } from '../message/json.js'
import type { Mail } from '../message/mail.js'
import { parseJson } from '../protocol/parseJson.js'
import type { JsonObject } from '../protocol/tasks.js'
import type { RecordChange, SharedRecord } from '../queue/records.js'
import { Validator } from '../validation.js'
import type { Recurrence } from './recurrence.js'

/** The options of `schedule()`. */
export interface ScheduleInput {
  /** When to send: five fields (minute, hour, day of the month, month, day of the week), or six with seconds first. */
  cron: string
  /** The IANA name of the time zone in which the expression is read. @default 'UTC' */
  timeZone?: string
  /** The mail, as plain data. A template's `load` function adds what changes. */
  mail: Mail
  /**
   * The treatment of times that passed while no process was running: `'one'` sends the last of them, `'none'` skips them.
   * @default 'one'
   */
  catchUp?: 'one' | 'none'
}

/** A schedule, as `schedules()` returns it. */
export interface Schedule {
  name: string
  cron: string
  timeZone: string
  mail: JsonObject
  catchUp: 'one' | 'none'
  /** The next time, ISO 8601. Absent if there is none. */
  nextAt?: string
  /** The last time that has passed since the schedule was made, ISO 8601. Absent if none has. */
  lastAt?: string
  /** Id of the message of that time. Absent if none was accepted. */
  lastId?: string
}

/** Prefix of the keys of all schedules. */
export const PREFIX = 'cron:'
/** Prefix of the keys under which the last message of each schedule is noted. */
export const LAST_PREFIX = 'cronlast:'
const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/
const MAX_MAIL = 64 * 1024
/** Schedules are kept until they are removed. */
const FOREVER = Number.MAX_SAFE_INTEGER

const check: Validator = new Validator('INVALID_OPTIONS')

/** The stored part of a schedule. */
export type Definition = Required<Omit<ScheduleInput, 'mail'>> & { mail: JsonObject }

/** A schedule as it is stored. */
export interface StoredSchedule {
  name: string
  definition: Definition
  /** The time up to which its times have been handled, in ms since the epoch. It only grows. */
  handled: number
  /** The last time at which it sent. 0: none */
  sent: number
  /** The message of that time. */
  lastId?: string
}

export function nameOf(value: unknown): string {
  const name = check.string(value, 'name', 64)
  if (!NAME.test(name))
    check.fail('name', "must be a name such as 'weekly-report': letters, digits, and . _ - within it")
  return name
}

/** @throws ThreadpostError `INVALID_OPTIONS` with the path of the invalid field */
export async function toDefinition(value: unknown): Promise<Definition> {
  const input = check.object(value, '', ['cron', 'timeZone', 'mail', 'catchUp'])
  const cron = check.string(input['cron'], 'cron', 200)
  const timeZone = check.string(input['timeZone'] ?? 'UTC', 'timeZone', 100)
  const recurrence = await recurrenceOf({ cron, timeZone })
  if (recurrence.next(Date.now()) === undefined) check.fail('cron', 'never comes due')
  if (input['mail'] === undefined) check.fail('mail', 'is required')
  const mail = toJsonObject(input['mail'], 'mail', check)
  if (Buffer.byteLength(JSON.stringify(mail)) > MAX_MAIL)
    check.fail('mail', `is larger than ${MAX_MAIL} bytes; let the template's load function add what is large`)
  if (mail['prepared'] !== undefined)
    check.fail('mail', 'is a prepared mail, which is sent once; pass the mail itself')
  for (const field of ['idempotencyKey', 'sendAt', 'expiresAt'])
    if (mail[field] !== undefined)
      check.fail(`mail.${field}`, 'is not allowed, because it would be the same each time')
  return { cron, timeZone, mail, catchUp: check.oneOf(input['catchUp'] ?? 'one', 'catchUp', ['one', 'none']) }
}

/** Loads what reads cron expressions: most processes have no schedules. */
export async function recurrenceOf({
  cron,
  timeZone,
}: Pick<Definition, 'cron' | 'timeZone'>): Promise<Recurrence> {
  const { Recurrence } = await import('./recurrence.js')
  return Recurrence.of(cron, timeZone, check)
}

/** Returns the first time after another; undefined if there is none, or if this process can't read the expression. */
export async function nextOf(definition: Definition, after: number): Promise<number | undefined> {
  try {
    return (await recurrenceOf(definition)).next(after)
  } catch {
    // Another process stored it, with another version of the time zone database.
    return undefined
  }
}

export function changeOf({ name, definition, handled }: StoredSchedule): RecordChange {
  const document = JSON.stringify(definition)
  return { key: `${PREFIX}${name}`, keepUntil: FOREVER, document, raise: { handled } }
}

/** The change after a time was handled. `raise`: of several processes, the one that is ahead counts. */
export function handledChange(name: string, handled: number, sent?: number): RecordChange {
  const raise = sent === undefined ? { handled } : { handled, sent }
  return { key: `${PREFIX}${name}`, keepUntil: FOREVER, raise }
}

/** Notes the message of the last time. Every process that sends the mail of this time notes the same one. */
export function lastChange(name: string, id: string): RecordChange {
  return { key: `${LAST_PREFIX}${name}`, keepUntil: FOREVER, document: JSON.stringify({ id }) }
}

export function removalOf(name: string): RecordChange[] {
  return [PREFIX, LAST_PREFIX].map((prefix) => ({
    key: `${prefix}${name}`,
    keepUntil: FOREVER,
    remove: true,
  }))
}

/** Returns undefined if the record has no definition: its schedule was removed while a process handled a time. */
export function fromRecord(
  { key, document, numbers }: SharedRecord,
  last: readonly SharedRecord[] = [],
): StoredSchedule | undefined {
  if (document === undefined) return undefined
  const definition = parseJson(document) as Definition
  const name = key.slice(PREFIX.length)
  const noted = last.find((record) => record.key === `${LAST_PREFIX}${name}`)?.document
  return {
    name,
    definition,
    handled: numbers['handled'] ?? 0,
    sent: numbers['sent'] ?? 0,
    // A process that was sending while the schedule was removed may have left its note.
    ...(noted === undefined || !((numbers['sent'] ?? 0) > 0)
      ? {}
      : { lastId: (parseJson(noted) as { id: string }).id }),
  }
}

export async function toSchedule({
  name,
  definition,
  handled,
  sent,
  lastId,
}: StoredSchedule): Promise<Schedule> {
  const next = await nextOf(definition, handled)
  return {
    name,
    ...definition,
    ...(next === undefined ? {} : { nextAt: new Date(next).toISOString() }),
    ...(sent === 0 ? {} : { lastAt: new Date(sent).toISOString() }),
    ...(lastId === undefined ? {} : { lastId }),
  }
}
