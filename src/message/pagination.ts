import { ThreadpostError } from '../errors.js'
import type { Redaction } from '../logging/redaction.js'
import type { ListQuery, MessagePage, QueueDriver } from '../queue/driver.js'
import { Validator } from '../validation.js'
import { type Status, STATUSES } from './messageState.js'
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

/** The number of messages that match a query. */
export interface MessageCount {
  count: number
  /** False if there are more: counting ends at 10,000 matches, or after a search through many messages that don't match. */
  exact: boolean
}

const MAX_COUNT = 10_000
/** Pages read for one count: a queue may return empty pages while it searches. */
const MAX_PAGES = 50

/** Reads a page of messages, as they are shown. @throws ThreadpostError `INVALID_MESSAGE` with the path of the invalid field */
export async function listMessages(
  { queue, redaction }: { queue: Pick<QueueDriver, 'list'>; redaction: Redaction },
  query: ListQuery,
): Promise<MessagePage> {
  const page = await queue.list(checkListQuery(query))
  return { ...page, messages: page.messages.map((message) => redaction.message(message)) }
}

/** Counts messages: from the counts by status if nothing else is asked for, else by reading them page by page. */
export async function countMessages(
  queue: Pick<QueueDriver, 'list' | 'stats'>,
  filter: MessageFilter,
): Promise<MessageCount> {
  const { status, ...others } = checkListQuery(filter)
  if (Object.values<unknown>(others).every((value) => value === undefined || value === '')) {
    const stats = await queue.stats()
    const statuses: readonly Status[] = status === undefined ? STATUSES : [status]
    return { count: statuses.reduce<number>((sum, name) => sum + stats[name], 0), exact: true }
  }
  let count = 0
  let pages = 0
  for await (const page of pagesOf((query) => queue.list(query), filter)) {
    count += page.length
    pages++
    if (count >= MAX_COUNT || pages >= MAX_PAGES) return { count: Math.min(count, MAX_COUNT), exact: false }
  }
  return { count, exact: true }
}

/** Runs an action on each matching message. @returns how many it changed; messages that changed or disappeared meanwhile are skipped */
export async function applyToAll(
  list: List,
  filter: MessageFilter,
  act: (id: string) => Promise<unknown>,
): Promise<number> {
  // Without a status, a cancelled message would be sent like a failed one.
  check.oneOf(checkListQuery(filter).status, 'status', STATUSES)
  let count = 0
  for await (const page of pagesOf(list, filter)) count += await applyToEach(page, act)
  return count
}

async function applyToEach(
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
function checkListQuery(query: ListQuery): ListQuery {
  const fields = check.object(query, '', ['status', 'limit', ...TEXTS, ...TIMES])
  if (fields['status'] !== undefined) check.oneOf(fields['status'], 'status', STATUSES)
  for (const name of TEXTS) if (fields[name] !== undefined) check.string(fields[name], name, MAX_TEXT)
  for (const name of TIMES) if (fields[name] !== undefined) check.number(fields[name], name, 0)
  return query
}
