import { ThreadpostError } from '../errors.js'
import type { ListQuery, MessagePage } from '../queue/driver.js'
import { Validator } from '../validation.js'
import { STATUSES } from './messageState.js'
import type { Message } from './messageView.js'

/** Messages read at a time where all are wanted. */
const PAGE = 500

/** Which messages: a query without its page. */
export type MessageFilter = Omit<ListQuery, 'limit' | 'cursor'>

type List = (query: ListQuery) => Promise<MessagePage>

/** All messages that fit, newest first, a page at a time. */
export async function* pagesOf(
  list: List,
  filter: MessageFilter,
): AsyncGenerator<Message[], void, undefined> {
  let page = await list({ ...filter, limit: PAGE })
  for (;;) {
    yield page.messages
    if (page.cursor === undefined) return
    page = await list({ ...filter, limit: PAGE, cursor: page.cursor })
  }
}

/** Does something to each of these messages. @returns to how many; what somebody else changed meanwhile is left out */
export async function applyToEach(
  messages: readonly Message[],
  act: (id: string) => Promise<unknown>,
): Promise<number> {
  const results = await Promise.allSettled(messages.map(({ id }) => act(id)))
  let count = 0
  for (const result of results) {
    if (result.status === 'fulfilled') count++
    else if (!isPassedOver(result.reason)) throw result.reason
  }
  return count
}

/** Somebody else has changed or forgotten the message since it was listed. */
function isPassedOver(reason: unknown): boolean {
  return reason instanceof ThreadpostError && (reason.code === 'CONFLICT' || reason.code === 'NOT_FOUND')
}

const check: Validator = new Validator('INVALID_MESSAGE')
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
