import { ThreadpostError } from '../errors.js'
import type { Message } from './view.js'
import type { ListQuery, MessagePage } from '../queue/driver.js'

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
export async function forEach(
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
