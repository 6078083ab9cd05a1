import type { RecipientOutcome } from '../../src/protocol/outcome.js'
import { PrioritySemaphore } from '../../src/structures/prioritySemaphore.js'
import type { SendResult, OutgoingMail, Progress, Transport } from './transport.js'
import { lost, withdrawn } from './unsentOutcomes.js'

/** How long what is under way may take once the mailer closes, in ms. */
const FAREWELL = 1_500

/** Codes on the board stand for what SMTP means by them (RFC 5321 section 4.2.1). */
const CODES = { sent: 250, deferred: 450, rejected: 550 } as const

/**
 * Handing a message over by a single call, for transports that are no dialogue: what was begun can't be told from what
 * was done until the answer. So the note that it is handed over is made before the call, and is taken back only where
 * the call says that nothing left this machine.
 */
export class SingleCallSender {
  readonly #calls: PrioritySemaphore
  readonly #underWay = new Set<Promise<SendResult>>()
  readonly #abort = new AbortController()
  /** Who takes what is not begun yet, once its transport was retired. */
  #heir: Transport | undefined

  /** @param most calls at a time */
  constructor(most: number) {
    this.#calls = new PrioritySemaphore(() => most)
  }

  /** @param call must heed the signal where it can; what it comes to after the deadline is of no interest */
  async run(
    parcel: OutgoingMail,
    progress: Progress,
    deadline: number,
    call: (signal: AbortSignal) => Promise<SendResult>,
  ): Promise<SendResult> {
    const { envelope } = parcel
    progress.enterPhase('connecting')
    const acquired = await this.#calls.acquire()
    if (!acquired || this.#heir !== undefined || this.#abort.signal.aborted) {
      if (acquired) this.#calls.release()
      return this.#heir?.send(parcel, progress, deadline) ?? lost('closed', false, envelope.to)
    }
    if (performance.now() >= deadline) {
      this.#calls.release()
      return lost('timeout', false, envelope.to)
    }
    const claim = progress.commit()
    if (claim !== 'committed') {
      this.#calls.release()
      return withdrawn(claim)
    }
    progress.enterPhase('body')
    const begun = performance.now()
    const answer = this.#inTime(envelope.to, deadline, call)
    this.#underWay.add(answer)
    const delivered = await answer
    this.#underWay.delete(answer)
    this.#calls.release()
    progress.addTiming('transaction', performance.now() - begun)
    note(delivered, progress)
    return delivered
  }

  /** Leaves what waits to another; resolves once nothing is under way. */
  async retire(heir: Transport): Promise<void> {
    this.#heir = heir
    this.#calls.close()
    await Promise.allSettled(this.#underWay)
  }

  async quit(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const farewell = new Promise((resolve) => (timer = setTimeout(resolve, FAREWELL)))
    await Promise.race([Promise.all(this.#underWay), farewell])
    clearTimeout(timer)
    this.#abort.abort()
    this.#calls.close()
  }

  async #inTime(
    to: readonly string[],
    deadline: number,
    call: (signal: AbortSignal) => Promise<SendResult>,
  ): Promise<SendResult> {
    const own = new AbortController()
    const end = (): void => own.abort()
    this.#abort.signal.addEventListener('abort', end)
    const timer = setTimeout(end, Math.max(0, deadline - performance.now()))
    const tooLate = new Promise<SendResult>((resolve) => {
      own.signal.addEventListener('abort', () => {
        resolve(lost(this.#abort.signal.aborted ? 'closed' : 'timeout', true, to))
      })
    })
    try {
      return await Promise.race([tooLate, call(own.signal)])
    } finally {
      clearTimeout(timer)
      this.#abort.signal.removeEventListener('abort', end)
    }
  }
}

function note({ verdict, recipients }: SendResult, progress: Progress): void {
  const { result, code } = verdict
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
