import { Checker } from '../check.js'
import type { ListQuery } from '../queue/driver.js'
import { STATUSES } from './record.js'

const check: Checker = new Checker('INVALID_MESSAGE')
const TEXTS = ['q', 'recipient', 'tag', 'template', 'cursor'] as const
const TIMES = ['since', 'until'] as const
const MAX_TEXT = 320

/** @throws ThreadpostError `INVALID_MESSAGE` with the path of what is wrong; the limit and the cursor the queue checks */
export function checkListQuery(query: ListQuery): ListQuery {
  const given = check.object(query, '', ['status', 'limit', ...TEXTS, ...TIMES])
  if (given['status'] !== undefined) check.oneOf(given['status'], 'status', STATUSES)
  for (const name of TEXTS) if (given[name] !== undefined) check.string(given[name], name, MAX_TEXT)
  for (const name of TIMES) if (given[name] !== undefined) check.number(given[name], name, 0)
  return query
}
