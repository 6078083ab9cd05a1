import { ThreadpostError } from './errors.js'
import type { Message } from './record.js'

export interface WaitOptions {
  /** Milliseconds to wait at most. @default 60_000 */
  timeout?: number
  /** Ends the wait early, with the signal's reason. */
  signal?: AbortSignal
}

interface Waiter {
  resolve(message: Message): void
  reject(error: Error): void
}

/** Those who wait for a message to settle. */
export class Waiters {
  readonly #byId = new Map<string, Set<Waiter>>()

  has(id: string): boolean {
    return this.#byId.has(id)
  }

  /** @throws ThreadpostError `WAIT_TIMEOUT`, `CLOSED`; the signal's reason. */
  wait(id: string, { timeout = 60_000, signal }: WaitOptions): Promise<Message> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const timer =
        timeout === Infinity
          ? undefined
          : setTimeout(() => {
              end()
              reject(
                new ThreadpostError(
                  'WAIT_TIMEOUT',
                  `Message ${id} did not settle within ${timeout} ms; it goes on by itself`,
                ),
              )
            }, timeout)
      const aborted = (): void => {
        end()
        reject(signal?.reason as Error)
      }
      const end = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', aborted)
        const waiters = this.#byId.get(id)
        waiters?.delete(waiter)
        if (waiters?.size === 0) this.#byId.delete(id)
      }
      const waiter: Waiter = {
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
  }

  settled(message: Message): void {
    for (const waiter of [...(this.#byId.get(message.id) ?? [])]) waiter.resolve(message)
  }

  close(): void {
    for (const waiters of [...this.#byId.values()])
      for (const waiter of [...waiters])
        waiter.reject(new ThreadpostError('CLOSED', 'The mailer was closed while waiting'))
  }
}
