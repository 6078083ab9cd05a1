import type { RecipientOutcome } from '../../src/protocol/outcome.js'
import { PrioritySemaphore } from '../../src/structures/prioritySemaphore.js'
import { sharedAbort } from '../../src/structures/sharedAbort.js'
import { unanswered, withdrawn } from './sendResults.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** Milliseconds that calls in progress may take after the mailer closes. */
const QUIT_TIMEOUT = 1_500

/** SMTP reply codes on the phase board for results of other protocols (RFC 5321 section 4.2.1). */
const CODES = { sent: 250, deferred: 450, rejected: 550 } as const

/**
 * Sends each message with a single call, for transports without a dialog. Until the call returns, a message that is being
 * sent can't be told from one that was sent. Therefore the phase `body` is set before the call, and is taken back only if
 * the call reports that nothing left this machine.
 */
export class SingleCallSender {
  readonly #calls: PrioritySemaphore
  readonly #close: () => Promise<void>
  readonly #inFlight = new Set<Promise<SendResult>>()
  readonly #abort = sharedAbort()
  /** Takes the messages that were not started, after `retire()`. */
  #successor: Transport | undefined
  #closed: Promise<void> | undefined

  /**
   * @param limit concurrent calls at most
   * @param close releases the client; called once, after the last call. A failure is ignored.
   */
  constructor(limit: number, close: () => Promise<void> = () => Promise.resolve()) {
    this.#calls = new PrioritySemaphore(() => limit)
    this.#close = close
  }

  /** @param call should heed the signal if it can; a result after the deadline is ignored */
  async run(
    mail: OutgoingMail,
    progress: Progress,
    deadline: number,
    call: (signal: AbortSignal) => Promise<SendResult>,
  ): Promise<SendResult> {
    const { envelope } = mail
    progress.enterPhase('connecting')
    const acquired = await this.#calls.acquire()
    if (!acquired || this.#successor !== undefined || this.#abort.signal.aborted) {
      if (acquired) this.#calls.release()
      return this.#successor?.send(mail, progress, deadline) ?? unanswered('closed', false, envelope.to)
    }
    try {
      if (performance.now() >= deadline) return unanswered('timeout', false, envelope.to)
      const permit = progress.commit()
      if (permit !== 'committed') return withdrawn(permit)
      progress.enterPhase('body')
      const start = performance.now()
      const running = this.#withDeadline(envelope.to, deadline, call)
      this.#inFlight.add(running)
      const result = await running.finally(() => this.#inFlight.delete(running))
      progress.addTiming('transaction', performance.now() - start)
      report(result, progress)
      return result
    } finally {
      this.#calls.release()
    }
  }

  /** Leaves the waiting messages to the successor. Resolves when no call is in progress and the client is closed. */
  async retire(successor: Transport): Promise<void> {
    this.#successor = successor
    this.#calls.close()
    await Promise.allSettled(this.#inFlight)
    await this.#closeOnce()
  }

  async quit(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise((resolve) => (timer = setTimeout(resolve, QUIT_TIMEOUT)))
    await Promise.race([Promise.all(this.#inFlight), timeout])
    clearTimeout(timer)
    this.#abort.abort()
    this.#calls.close()
    await this.#closeOnce()
  }

  #closeOnce(): Promise<void> {
    return (this.#closed ??= this.#close().catch(() => undefined))
  }

  async #withDeadline(
    to: readonly string[],
    deadline: number,
    call: (signal: AbortSignal) => Promise<SendResult>,
  ): Promise<SendResult> {
    const controller = new AbortController()
    const abort = (): void => controller.abort()
    this.#abort.signal.addEventListener('abort', abort)
    const timer = setTimeout(abort, Math.max(0, deadline - performance.now()))
    const tooLate = new Promise<SendResult>((resolve) => {
      controller.signal.addEventListener('abort', () => {
        resolve(unanswered(this.#abort.signal.aborted ? 'closed' : 'timeout', true, to))
      })
    })
    try {
      return await Promise.race([tooLate, call(controller.signal)])
    } finally {
      clearTimeout(timer)
      this.#abort.signal.removeEventListener('abort', abort)
    }
  }
}

function report({ outcome, recipients }: SendResult, progress: Progress): void {
  const { result, code } = outcome
  if (result === 'uncertain' || result === 'withdrawn') return
  if (code === 'CONNECTION_FAILED' || code === 'AUTH_FAILED' || code === 'TLS_FAILED') {
    progress.release()
    progress.enterPhase('connecting')
    return
  }
  progress.replied(
    CODES[result],
    recipients.map((recipient): RecipientOutcome['result'] => recipient.result),
  )
}
