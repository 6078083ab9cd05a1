import type { Outcome, OutcomeFacts } from './outcome.js'

/** The facts of an outcome that no thread worked on. A new object each time: the dispatcher adds to the timings. */
export function emptyFacts(): Pick<OutcomeFacts, 'phase' | 'recipients' | 'timings' | 'thread'> {
  return { phase: 'waiting', recipients: [], timings: {}, thread: 0 }
}

/** @param reason why the last thread died, readable for users */
export function setupFailure(reason: string): Outcome {
  const message = `No thread lives long enough to take mail: ${reason}`
  return { result: 'deferred', code: 'SETUP_FAILED', message, ...emptyFacts() }
}

/** @param message one sentence: why the transport is not there */
export function transportUnavailable(message: string): Outcome {
  return { result: 'deferred', code: 'TRANSPORT_UNAVAILABLE', message, ...emptyFacts() }
}

/** A mail that was submitted in SQL could not be checked. The cause is not shown: an application's error may say anything. */
export function checkFailure(): Outcome {
  const message = 'The mail could not be checked; the log of the delivering process names the cause.'
  return { result: 'deferred', code: 'SETUP_FAILED', message, ...emptyFacts() }
}

/** A mail that was submitted in SQL has the idempotency key of another message. @param differs whether that has other content */
export function keyTaken({ id, differs }: { id: string; differs: boolean }): Outcome {
  return differs
    ? {
        result: 'rejected',
        code: 'INVALID_MESSAGE',
        message: `idempotencyKey: was already used for a different mail, ${id}`,
        ...emptyFacts(),
      }
    : {
        result: 'withdrawn',
        code: 'SKIPPED',
        message: `message ${id} has its idempotencyKey`,
        ...emptyFacts(),
      }
}
