import { z } from 'zod'
import { type ErrorCode, type ListQuery, STATUSES, ThreadpostError } from '../index.js'

/** All members of a union. The object must have a key for each, so the compiler finds a forgotten one. */
export function exhaustive<T extends string>(members: Record<T, true>): [T, ...T[]] {
  return Object.keys(members) as [T, ...T[]]
}

/** Characters that an error quotes of a request. */
const MAX_QUOTED = 100

const TYPES: Readonly<Record<string, string>> = {
  array: 'an array',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'an object',
  string: 'a string',
}

/** Describes a problem as the mailer's own checks do. A schema's own message takes precedence. @returns undefined for other problems */
function problemOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${TYPES[issue.expected] ?? issue.expected}`
    case 'invalid_value':
      return `must be one of ${issue.values.map((each) => `'${String(each)}'`).join(', ')}`
    case 'too_small':
      if (issue.minimum === 1 && (issue.origin === 'string' || issue.origin === 'array')) return 'is empty'
      return limitOf(issue.origin, 'at least', issue.minimum)
    case 'too_big':
      return limitOf(issue.origin, 'at most', issue.maximum)
    default:
      return undefined
  }
}

function limitOf(origin: string, bound: string, limit: number | bigint): string {
  if (origin === 'string') return `must have ${bound} ${limit} characters`
  if (origin === 'array') return `must have ${bound} ${limit} entries`
  return `must be ${bound} ${limit}`
}

/**
 * Validates a value against a schema.
 * @throws ThreadpostError with the code, and the path of the first invalid field
 */
export function checked<T extends z.ZodType>(
  schema: T,
  value: unknown,
  code: ErrorCode = 'INVALID_MESSAGE',
): z.output<T> {
  const result = schema.safeParse(value, { error: problemOf })
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const keys = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
  const whole = [...(issue?.path ?? []), ...keys].reduce<string>(
    (before, key) =>
      typeof key === 'number' ? `${before}[${key}]` : `${before && `${before}.`}${String(key)}`,
    '',
  )
  const path = whole.length <= MAX_QUOTED ? whole : `${whole.slice(0, MAX_QUOTED - 1)}…`
  const problem = keys.length > 0 ? 'is unknown' : (issue?.message ?? 'is not valid')
  throw new ThreadpostError(code, path === '' ? problem : `${path}: ${problem}`, {
    ...(path === '' ? {} : { path }),
  })
}

export const Statuses = z.enum(STATUSES)

/** A time in a query string: ISO 8601, or milliseconds since the epoch. */
const Time = z
  .string()
  .max(40)
  .transform((text, context) => {
    const time = /^\d+$/.test(text) ? Number(text) : isDate(text) ? Date.parse(text) : NaN
    if (Number.isFinite(time)) return time
    context.addIssue({ code: 'custom', message: 'must be ISO 8601 or milliseconds since the epoch' })
    return z.NEVER
  })

/** Whether text begins with a date that exists: `Date.parse()` takes February 30 for March 2. */
function isDate(text: string): boolean {
  const date = /^\d{4}-\d\d(?:-\d\d)?/.exec(text)?.[0]
  const start = Date.parse(date ?? '')
  return !Number.isNaN(start) && new Date(start).toISOString().startsWith(date ?? '')
}

const text = () => z.string().max(320)

/** The parameters of `GET /messages`: all of {@link ListQuery}. */
export const ListParameters = z.strictObject({
  status: Statuses.optional().describe('The current status.'),
  q: text()
    .optional()
    .describe('Text to search for in recipients, subject, template, tags and id, ignoring case.'),
  recipient: text().optional().describe('Address of a recipient, case-insensitive.'),
  tag: text().optional(),
  template: text().optional().describe('Name of the template.'),
  since: Time.optional().describe(
    'Accepted at this time or later: ISO 8601, or milliseconds since the epoch.',
  ),
  until: Time.optional().describe(
    'Accepted at this time or earlier: ISO 8601, or milliseconds since the epoch.',
  ),
  limit: z.coerce.number().int().min(1).max(500).optional().describe('Messages per page; 50 by default.'),
  cursor: text().optional().describe('The cursor of the previous page.'),
})

/** @throws ThreadpostError `INVALID_MESSAGE` with the parameter as its path */
export function listQueryOf(parameters: unknown): ListQuery {
  return checked(ListParameters, parameters) as ListQuery
}
