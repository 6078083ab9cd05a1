import { ThreadpostError } from '../../errors.js'

/** How a problem with Redis is told to who wants something of it. */
export function refusal(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  // What the client says of itself is no help to who reads it.
  const problem = /enableOfflineQueue|Connection is closed|max retries/i.test(text) ? 'no connection' : text
  return `The queue can't be reached just now: Redis does not answer (${problem}). Try again later`
}

/** What can't be asked just now is told as that. @throws ThreadpostError `QUEUE_UNAVAILABLE` */
export async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    throw new ThreadpostError('QUEUE_UNAVAILABLE', refusal(error), { cause: error })
  }
}
