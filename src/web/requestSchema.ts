import { z } from 'zod'
import { type ErrorCode, type ListQuery, STATUSES, ThreadpostError } from '../index.js'

/** All members of a union. The object must have a key for each, so the compiler finds a forgotten one. */
export function exhaustive<T extends string>(members: Record<T, true>): [T, ...T[]] {
  return Object.keys(members) as [T, ...T[]]
}

/** Characters that an error quotes of a request. */
const MAX_QUOTED = 100

/**
 * Validates a value against a schema.
 * @throws ThreadpostError with the code, and the path of the first invalid field
 */
export function checked<T extends z.ZodType>(
  schema: T,
  value: unknown,
  code: ErrorCode = 'INVALID_MESSAGE',
): z.output<T> {
  const result = schema.safeParse(value)
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
