import type {
  DeferredCode,
  RecipientOutcome,
  SmtpReply,
  UncertainCode,
  UnreachableCode,
  UnsupportedCode,
  WithdrawnCode,
} from '../../src/protocol/outcome.js'
import type { TransportReport } from '../../src/protocol/transportConfig.js'
import type { Composed, MessageParts } from '../compose/compose.js'
import type { WirePayload } from '../wireForm.js'

/** Reverse-path, which may be empty, and forward-paths (RFC 5321 section 2.3.1). */
export interface Envelope {
  from: string
  to: readonly string[]
  /** The name by which notifications of servers refer to the message (RFC 3461 section 4.4); absent if none are asked for. */
  envid?: string
}

/** A message to send. */
export interface OutgoingMail {
  /** Addresses are in wire form, here and in the payload. */
  envelope: Envelope
  payload: WirePayload
  /** The complete message (RFC 5322), composed from the payload and the parts. */
  composed: Composed
  /** The same message in ASCII, if addresses in its header require SMTPUTF8, and only those of recipients. */
  asciiVersion?: Composed | undefined
  parts: MessageParts
  /** Whether an earlier attempt may have sent it. */
  uncertain?: true | undefined
}

/** A message as it is handed to a server, without what the protocol adds. A function builds it, if that is not done yet. */
export type SentOctets = Buffer | Composed | (() => Promise<Buffer>)

/** Records how far a transport has got with a message. Each call must precede the step that it announces. */
export interface Progress {
  enterPhase(phase: 'connecting' | 'envelope' | 'body'): void
  /**
   * Must be called right before the envelope joins a write. After `committed` the message can't be cancelled and does
   * not expire; after any other answer it must not be sent.
   */
  commit(): 'committed' | WithdrawnCode
  /** Reverts `commit`: the message was certainly not sent and waits for another connection. */
  release(): void
  /**
   * Records the reply to a final dot, with one result per recipient in the envelope's order. If the message takes several
   * transactions, this is called after each, with the results so far; a recipient whose result is not known is `uncertain`.
   */
  replied(code: number, results: RecipientOutcome['result'][]): void
  /**
   * Records the octets of the message when they are about to be sent, which keeps them readable until the message is
   * settled. Not called if the server builds the message.
   */
  sends(octets: SentOctets): void
  /** Adds to a timing, in ms. */
  addTiming(step: 'connect' | 'transaction', ms: number): void
}

/** The result of sending a message. The delivery adds phase, timings and thread to make an `Outcome` of it. */
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
  /**
   * Sends a message. Rejects only because of a defect.
   * @param deadline the time at which the attempt must be over, on `performance.now()`'s clock
   */
  send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult>
  /** Resolves when the packages that it needs are loaded; rejects with the name of a missing one. */
  ready?(): Promise<void>
  /** Tests connection and authentication, and sends nothing. */
  verify(): Promise<TransportReport>
  /**
   * Hands over to a transport with new settings: passes the waiting and all further messages to it, finishes the messages
   * in progress, and closes its connections. Resolves when that is done.
   */
  retire(successor: Transport): Promise<void>
  /** Finishes the messages in progress within a time limit, and closes all connections. */
  quit(): Promise<void>
}
