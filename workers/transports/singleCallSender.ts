import type { RecipientOutcome } from '../../src/protocol/outcome.js'
import { PrioritySemaphore } from '../../src/structures/prioritySemaphore.js'
import { sharedAbort } from '../../src/structures/sharedAbort.js'
import { unanswered, withdrawn } from './sendResults.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** Milliseconds that calls in progress may take after the mailer closes. */
const QUIT_TIMEOUT = 1_500

/** SMTP reply codes on the phase board for results of other protocols (RFC 5321 section 4.2.1). */
const CODES = { sent: 250, deferred: 450, rejected: 550 } as const

/** A message that waits for a call, and how its sender learns the result. */
export interface PendingSend {
  mail: OutgoingMail
  progress: Progress
  /** On `performance.now()`'s clock. */
  deadline: number
  resolve: (result: SendResult) => void
  /** A defect. */
  reject: (error: unknown) => void
}

/**
 * Sends each message with a single call, or several with one call, for transports without a dialog. Until the call returns, a
 * message that is being sent can't be told from one that was sent. Therefore the phase `body` is set before the call, and is taken
 * back only if the call reports that nothing left this machine.
 */
export class SingleCallSender {
  readonly #calls: PrioritySemaphore
  readonly #close: () => Promise<void>
  readonly #inFlight = new Set<Promise<unknown>>()
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
  run(
    mail: OutgoingMail,
    progress: Progress,
    deadline: number,
    call: (signal: AbortSignal) => Promise<SendResult>,
  ): Promise<SendResult> {
    progress.enterPhase('connecting')
    return new Promise((resolve, reject) => {
      const only = { mail, progress, deadline, resolve, reject }
      this.runTogether(
        () => [only],
        async (_, signal) => [await call(signal)],
      )
    })
  }

  /**
   * Sends several messages with one call.
   * @param take returns the messages; called once, when the call can begin or when it never will
   * @param call gets those of the messages that are still to be sent, and returns a result for each
   */
  runTogether<T extends PendingSend>(
    take: () => readonly T[],
    call: (sends: readonly T[], signal: AbortSignal) => Promise<readonly SendResult[]>,
  ): void {
    void this.#calls.acquire().then(async (acquired) => {
      const sends = take()
      try {
        if (!acquired || this.#successor !== undefined || this.#abort.signal.aborted)
          for (const send of sends) this.#passOn(send)
        else await this.#call(sends.filter(begin), call)
      } catch (error) {
        for (const send of sends) send.reject(error)
      } finally {
        if (acquired) this.#calls.release()
      }
    })
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
    await Promise.race([Promise.allSettled(this.#inFlight), timeout])
    clearTimeout(timer)
    this.#abort.abort()
    this.#calls.close()
    await this.#closeOnce()
  }

  #closeOnce(): Promise<void> {
    return (this.#closed ??= this.#close().catch(() => undefined))
  }

  #passOn({ mail, progress, deadline, resolve, reject }: PendingSend): void {
    if (this.#successor === undefined) resolve(unanswered('closed', false, mail.envelope.to))
    else this.#successor.send(mail, progress, deadline).then(resolve, reject)
  }

  /** Makes a call. Resolves when each of its messages has its result. */
  async #call<T extends PendingSend>(
    sends: readonly T[],
    call: (sends: readonly T[], signal: AbortSignal) => Promise<readonly SendResult[]>,
  ): Promise<void> {
    if (sends.length === 0) return
    const controller = new AbortController()
    const closed = new Promise<'closed'>((resolve) => {
      this.#abort.signal.addEventListener('abort', () => resolve('closed'), { signal: controller.signal })
    })
    void closed.then(() => controller.abort())
    const start = performance.now()
    const results = call(sends, controller.signal)
    const settled = Promise.all(
      sends.map(async (send, index) => {
        const result = await beforeDeadline(
          send,
          closed,
          results.then((all) => all[index]),
        )
        send.progress.addTiming('transaction', performance.now() - start)
        report(result, send.progress)
        send.resolve(result)
      }),
    )
    this.#inFlight.add(settled)
    try {
      await settled
    } finally {
      this.#inFlight.delete(settled)
      // No message waits for the call any longer.
      controller.abort()
    }
  }
}

/** Settles as the call does, unless the message's deadline passes or the sender closes first. */
async function beforeDeadline(
  { mail: { envelope }, deadline }: PendingSend,
  closed: Promise<'closed'>,
  called: Promise<SendResult | undefined>,
): Promise<SendResult> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'timeout'>((resolve) => {
    timer = setTimeout(() => resolve('timeout'), Math.max(0, deadline - performance.now()))
  })
  const result = await Promise.race([late, closed, called.then((own) => own ?? 'invalid')]).finally(() =>
    clearTimeout(timer),
  )
  return typeof result === 'string' ? unanswered(result, true, envelope.to) : result
}

/** Begins to send a message: from now on, it may leave this machine. @returns whether it is still to be sent */
function begin({ mail, progress, deadline, resolve }: PendingSend): boolean {
  if (performance.now() >= deadline) {
    resolve(unanswered('timeout', false, mail.envelope.to))
    return false
  }
  const permit = progress.commit()
  if (permit !== 'committed') {
    resolve(withdrawn(permit))
    return false
  }
  progress.enterPhase('body')
  return true
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
