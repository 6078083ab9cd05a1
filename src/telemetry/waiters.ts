import { ThreadpostError } from '../errors.js'
import { isFinal } from '../feedback/deliveryStates.js'
import { isSettled } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import { notFound } from '../queue/actions.js'
import type { QueueDriver } from '../queue/driver.js'
import { Validator } from '../validation.js'

const check: Validator = new Validator('INVALID_OPTIONS')

export interface WaitOptions {
  /** Maximum wait in ms; `Infinity` waits forever. @default 60_000 */
  timeout?: number
  /**
   * The moment to wait for. `'settled'`: the next server has accepted the message, or it ended otherwise. `'delivered'`: in addition, it
   * was reported of every recipient who was sent to that the mail was delivered or bounced, which not every provider reports.
   * @default 'settled'
   */
  until?: 'settled' | 'delivered'
  /** Ends the wait early: `wait()` rejects with the signal's reason. @default none */
  signal?: AbortSignal
}

/**
 * Checks the options of a wait, and that its signal isn't aborted.
 * @throws ThreadpostError `INVALID_OPTIONS`; the signal's reason
 */
export function checkWait(
  options: WaitOptions,
): WaitOptions & Required<Pick<WaitOptions, 'timeout' | 'until'>> {
  check.object(options, '', ['timeout', 'until', 'signal'])
  const { timeout = 60_000, until = 'settled', signal } = options
  if (timeout !== Infinity) check.timeout(timeout, 'timeout')
  check.oneOf(until, 'until', ['settled', 'delivered'])
  signal?.throwIfAborted()
  return { timeout, until, ...(signal === undefined ? {} : { signal }) }
}

/** How a waiter looks its message up. */
export interface MessageLookup {
  find: () => Promise<Message | undefined>
  /** Whether the message may appear later: its transaction may not be committed yet. */
  mayAppear: boolean
}

type Until = NonNullable<WaitOptions['until']>

/** Whether a wait is over. */
type Done = (message: Message) => boolean

const DONE: Readonly<Record<Until, Done>> = {
  settled: ({ status }) => isSettled(status),
  delivered: ({ status, recipients }) =>
    isSettled(status) &&
    recipients.every(
      (recipient) =>
        recipient.status !== 'sent' || (recipient.delivery !== undefined && isFinal(recipient.delivery)),
    ),
}

/** Milliseconds between two looks for reports that another process received. */
const LOOK_INTERVAL = 1_000

interface Waiter {
  done: Done
  resolve(message: Message): void
  reject(error: Error): void
}

/** The callers of `wait()`, by message id. */
export class Waiters {
  readonly #byId = new Map<string, Set<Waiter>>()

  has(id: string): boolean {
    return this.#byId.has(id)
  }

  /**
   * @param timeout validated: a delay that setTimeout accepts, or Infinity
   * @returns the settled message, and a function that ends the wait without settling the promise
   * @throws ThreadpostError `WAIT_TIMEOUT`, `CLOSED`; the signal's reason
   */
  wait(
    id: string,
    timeout: number,
    signal?: AbortSignal,
    until: Until = 'settled',
  ): { settlement: Promise<Message>; giveUp: () => void } {
    let giveUp = (): void => undefined
    const settlement = new Promise<Message>((resolve, reject) => {
      signal?.throwIfAborted()
      const timer =
        timeout === Infinity
          ? undefined
          : setTimeout(() => waiter.reject(timedOut(id, timeout, until)), timeout)
      const aborted = (): void => waiter.reject(signal?.reason as Error)
      const end = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
        const waiters = this.#byId.get(id)
        waiters?.delete(waiter)
        if (waiters?.size === 0) this.#byId.delete(id)
      }
      giveUp = end
      const waiter: Waiter = {
        done: DONE[until],
        resolve: (message) => {
          end()
          resolve(message)
        },
        reject: (error) => {
          end()
          reject(error)
        },
      }
      signal?.addEventListener('abort', aborted, { once: true })
      const waiters = this.#byId.get(id)
      if (waiters === undefined) this.#byId.set(id, new Set([waiter]))
      else waiters.add(waiter)
    })
    return { settlement, giveUp }
  }

  /**
   * Waits until a message is settled, whichever process settles it; or until its delivery is reported.
   * @throws ThreadpostError `INVALID_OPTIONS`, `NOT_FOUND`, and as `wait()`
   */
  async follow(
    queue: Pick<QueueDriver, 'subscribe' | 'durable'>,
    id: string,
    { find, mayAppear }: MessageLookup,
    options: WaitOptions,
  ): Promise<Message> {
    const { timeout, signal, until } = checkWait(options)
    const done = DONE[until]
    const unsubscribe = queue.subscribe(id)
    const { settlement, giveUp } = this.wait(id, timeout, signal, until)
    const look = (): void => void find().then((message) => message && this.changed(message), ignore)
    const looking =
      until === 'delivered' && queue.durable ? setInterval(look, LOOK_INTERVAL).unref() : undefined
    // The message is looked up after the waiter is registered, so that a settlement in between is not missed.
    settlement.catch(() => undefined)
    try {
      const message = await find()
      if (message === undefined) {
        if (!mayAppear) throw notFound(id)
        return await settlement.catch(async (error: unknown) => {
          if (error instanceof ThreadpostError && error.code === 'WAIT_TIMEOUT' && !(await find()))
            throw uncommitted(id, timeout)
          throw error
        })
      }
      return done(message) ? message : await settlement
    } finally {
      clearInterval(looking)
      giveUp()
      unsubscribe()
    }
  }

  /** Must be called when a message is settled, and when something is reported of it afterwards. */
  changed(message: Message): void {
    for (const waiter of [...(this.#byId.get(message.id) ?? [])])
      if (waiter.done(message)) waiter.resolve(message)
  }

  close(): void {
    for (const waiters of [...this.#byId.values()])
      for (const waiter of [...waiters])
        waiter.reject(new ThreadpostError('CLOSED', 'The mailer was closed during the wait'))
  }
}

function timedOut(id: string, timeout: number, until: Until): ThreadpostError {
  const text =
    until === 'settled'
      ? `Message ${id} was not settled within ${timeout} ms; its delivery continues`
      : `Message ${id} was not reported as delivered or bounced within ${timeout} ms; reports may still arrive`
  return new ThreadpostError('WAIT_TIMEOUT', text, { id })
}

function uncommitted(id: string, timeout: number): ThreadpostError {
  return new ThreadpostError(
    'WAIT_TIMEOUT',
    `Message ${id} was not committed within ${timeout} ms: its transaction is still open, or was rolled back`,
    { id },
  )
}

function ignore(): void {
  // The next look may succeed.
}
