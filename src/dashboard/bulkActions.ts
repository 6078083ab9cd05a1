import { type ListQuery, type Mailer, type Message, ThreadpostError } from '../index.js'
import { invalid } from '../web/problem.js'
import type { BulkStep } from './viewModels.js'

/** Messages changed in one step. */
const STEP = 200
const MAX_IDS = 500

const ACTIONS = {
  retry: (mailer, id) => mailer.retry(id),
  cancel: (mailer, id) => mailer.cancel(id),
  'mark-sent': (mailer, id) => mailer.markSent(id),
} satisfies Record<string, (mailer: Mailer, id: string) => Promise<Message>>

export type Action = keyof typeof ACTIONS

export function isAction(value: unknown): value is Action {
  return typeof value === 'string' && Object.hasOwn(ACTIONS, value)
}

/** @throws ThreadpostError `INVALID_MESSAGE` when there are too many */
export async function performOnIds(
  mailer: Mailer,
  action: Action,
  ids: readonly string[],
): Promise<BulkStep> {
  if (ids.length > MAX_IDS) throw invalid('ids', `are more than ${MAX_IDS}`)
  return perform(mailer, action, ids)
}

/** The next messages that fit. Who asks goes on with the cursor, so that a request is never long. */
export async function performOnPage(mailer: Mailer, action: Action, query: ListQuery): Promise<BulkStep> {
  const { messages, cursor } = await mailer.list({ ...query, limit: STEP })
  const ids = messages.map(({ id }) => id)
  return { ...(await perform(mailer, action, ids)), ...(cursor === undefined ? {} : { cursor }) }
}

async function perform(mailer: Mailer, action: Action, ids: readonly string[]): Promise<BulkStep> {
  const results = await Promise.allSettled(ids.map((id) => ACTIONS[action](mailer, id)))
  let done = 0
  for (const result of results) {
    if (result.status === 'fulfilled') done++
    else if (!isTooLate(result.reason)) throw result.reason
  }
  return { done, passed: ids.length - done }
}

function isTooLate(reason: unknown): boolean {
  return reason instanceof ThreadpostError && (reason.code === 'CONFLICT' || reason.code === 'NOT_FOUND')
}
