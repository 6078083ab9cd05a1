import { z } from 'zod'
import { type ErrorCode, type ListQuery, STATUSES, ThreadpostError } from '../index.js'

/** The keys of an object that must have one for each member of a union: so that none is forgotten. */
export function exhaustive<T extends string>(members: Record<T, true>): [T, ...T[]] {
  return Object.keys(members) as [T, ...T[]]
}

/**
 * What a schema makes of a value.
 * @throws ThreadpostError with the code, and the path of the first thing that is wrong
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
  const path = [...(issue?.path ?? []), ...keys].reduce<string>(
    (before, key) =>
      typeof key === 'number' ? `${before}[${key}]` : `${before && `${before}.`}${String(key)}`,
    '',
  )
  const problem = keys.length > 0 ? 'is not known here' : (issue?.message ?? 'is not valid')
  throw new ThreadpostError(code, path === '' ? problem : `${path}: ${problem}`, {
    ...(path === '' ? {} : { path }),
  })
}

export const Statuses = z.enum(STATUSES)

/** A point in time as a query has it: ISO 8601, or milliseconds since the epoch. */
const Time = z
  .string()
  .max(40)
  .transform((text, context) => {
    const time = /^\d+$/.test(text) ? Number(text) : /^\d{4}-/.test(text) ? Date.parse(text) : NaN
    if (Number.isFinite(time)) return time
    context.addIssue({ code: 'custom', message: 'must be ISO 8601 or milliseconds since the epoch' })
    return z.NEVER
  })

const text = () => z.string().max(320)

/** The parameters of `GET /messages`: all of {@link ListQuery}. */
export const ListParameters = z.strictObject({
  status: Statuses.optional().describe('The status now.'),
  q: text().optional().describe('Text looked for in recipients, subject, template and tags, or a whole id.'),
  recipient: text().optional().describe('Address of a recipient, in whatever case.'),
  tag: text().optional(),
  template: text().optional().describe('Name of the template.'),
  since: Time.optional().describe('Accepted then or later: ISO 8601, or ms since the epoch.'),
  until: Time.optional().describe('Accepted then or earlier: ISO 8601, or ms since the epoch.'),
  limit: z.coerce.number().int().min(1).max(500).optional().describe('Messages a page; 50 by default.'),
  cursor: text().optional().describe('The cursor of the page before.'),
})

/** @throws ThreadpostError `INVALID_MESSAGE` with the parameter as its path */
export function listQueryOf(parameters: unknown): ListQuery {
  return checked(ListParameters, parameters) as ListQuery
}
