import { ThreadpostError } from '../errors.js'
import type { ListQuery, MessagePage } from '../queue/driver.js'
import { Validator } from '../validation.js'
import { STATUSES } from './messageState.js'
import type { Message } from './messageView.js'

/** Messages per page when all pages are read. */
const PAGE = 500

/** A query without `limit` and `cursor`. */
export type MessageFilter = Omit<ListQuery, 'limit' | 'cursor'>

type List = (query: ListQuery) => Promise<MessagePage>

/** Yields all matching messages, newest first, one page at a time. */
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

/** Runs an action on each message. @returns how many it changed; messages that changed or disappeared meanwhile are skipped */
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

/** Whether the message was changed or removed after it was listed. */
function isPassedOver(reason: unknown): boolean {
  return reason instanceof ThreadpostError && (reason.code === 'CONFLICT' || reason.code === 'NOT_FOUND')
}

const check: Validator = new Validator('INVALID_MESSAGE')
const TEXTS = ['q', 'recipient', 'tag', 'template', 'cursor'] as const
const TIMES = ['since', 'until'] as const
const MAX_TEXT = 320

/** @throws ThreadpostError `INVALID_MESSAGE` with the path of the invalid field; the queue checks `limit` and `cursor` */
export function checkListQuery(query: ListQuery): ListQuery {
  const fields = check.object(query, '', ['status', 'limit', ...TEXTS, ...TIMES])
  if (fields['status'] !== undefined) check.oneOf(fields['status'], 'status', STATUSES)
  for (const name of TEXTS) if (fields[name] !== undefined) check.string(fields[name], name, MAX_TEXT)
  for (const name of TIMES) if (fields[name] !== undefined) check.number(fields[name], name, 0)
  return query
}
