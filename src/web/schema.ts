import type { z } from 'zod'
import { type ErrorCode, ThreadpostError } from '../index.js'

/** The keys of an object that must have one for each member of a union: so that none is forgotten. */
export function all<T extends string>(members: Record<T, true>): [T, ...T[]] {
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
