import type {
  DeferredCode,
  RecipientOutcome,
  SmtpReply,
  UncertainCode,
  UnreachableCode,
  UnsupportedCode,
  WithdrawnCode,
} from '../../src/protocol/outcome.js'
import type { MessagePayload } from '../../src/protocol/tasks.js'
import type { TransportReport } from '../../src/protocol/transportConfig.js'
import type { Composed, MessageParts } from '../compose/compose.js'

/** The reverse-path and the forward-paths (RFC 5321 section 2.3.1). */
export interface Envelope {
  from: string
  to: readonly string[]
}

/** What a transport is handed. The bytes are a complete message (RFC 5322), made of the letter and the parts. */
export interface OutgoingMail extends Composed {
  envelope: Envelope
  payload: MessagePayload
  parts: MessageParts
}

/** Where a transport notes how far it has got, the moment before it goes on. */
export interface Progress {
  enterPhase(phase: 'connecting' | 'envelope' | 'body'): void
  /**
   * To be asked the moment before the envelope joins a write: from then on the message can't be cancelled and does
   * not expire. Anything but `committed` means that it must not be sent.
   */
  commit(): 'committed' | WithdrawnCode
  /** Takes `commit` back: the message certainly was not sent and waits for another connection. */
  release(): void
  /** The final reply, with a result for each recipient in the envelope's order. */
  replied(code: number, results: RecipientOutcome['result'][]): void
  /** Adds to a timing, in ms. */
  addTiming(step: 'connect' | 'transaction', ms: number): void
}

/** What came of a parcel. What it leaves out, the delivery knows: phase, timings, thread. */
export interface SendResult {
  message: string
  recipients: RecipientOutcome[]
  reply?: SmtpReply
  outcome:
    | { result: 'sent'; code: 'OK' }
    | { result: 'rejected'; code: 'SMTP_REJECTED' | 'INVALID_MESSAGE' | UnsupportedCode }
    | { result: 'deferred'; code: DeferredCode | UnreachableCode; retryAfter?: number }
    | { result: 'uncertain'; code: UncertainCode }
    | { result: 'withdrawn'; code: WithdrawnCode }
}

export interface Transport {
  /** Never rejects but by a defect. `deadline` is when it must be over, on `performance.now()`'s clock. */
  send(parcel: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult>
  /** Once what it needs is loaded; rejects with what is missing. */
  ready?(): Promise<void>
  /** Tries what every message needs first, and sends nothing. */
  verify(): Promise<TransportReport>
  /**
   * Another of its kind takes its place: leaves to it what waits and what still comes, ends what was begun, and lets go.
   * Resolves once it has.
   */
  retire(heir: Transport): Promise<void>
  /** Says goodbye on idle connections and lets go. */
  quit(): Promise<void>
}
