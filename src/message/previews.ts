import { ThreadpostError } from '../errors.js'
import type { QueueDriver } from '../queue/driver.js'
import type { Runner } from '../threads/runner.js'
import type { ComposedParts, RenderResult } from '../wire/tasks.js'

/**
 * What a message says, built again from what the queue keeps of it; `kept: false` where its data was dropped when it
 * was settled (`retain.data`). A template that changed since gives what it would give now.
 */
export type MessagePreview = { kept: false } | ({ kept: true } & ComposedParts)

/** @returns undefined where there is no such message */
export async function previewOf(
  id: string,
  queue: QueueDriver,
  runner: Runner,
): Promise<MessagePreview | undefined> {
  const job = await queue.load(id)
  if (job === undefined) return undefined
  if (job === 'dropped') return { kept: false }
  return { kept: true, ...partsOf(await runner.compose(job)) }
}

/** @throws ThreadpostError `UNKNOWN_TEMPLATE`, `MISSING_DATA`, `TEMPLATE_ERROR` where it could not be rendered */
export function partsOf<T>(result: RenderResult<T>): T {
  if (result.ok) return result.parts
  const { code, message, location, missing } = result.outcome
  const known = code === 'MISSING_DATA' || code === 'UNKNOWN_TEMPLATE' ? code : 'TEMPLATE_ERROR'
  throw new ThreadpostError(known, message, {
    ...(location === undefined ? {} : { location }),
    ...(missing === undefined ? {} : { paths: missing, path: `data.${missing[0] ?? ''}` }),
  })
}
