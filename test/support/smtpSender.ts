import { onTestFinished } from 'vitest'
import type { RecipientOutcome, WithdrawnCode } from '../../src/protocol/outcome.js'
import type { SmtpTimeouts, SmtpTransport } from '../../src/protocol/transportConfig.js'
import { SmtpSender } from '../../workers/transports/smtp/smtpSender.js'
import type { SendResult, Progress } from '../../workers/transports/transport.js'
import type { WirePayload } from '../../workers/wireForm.js'

/** In ms; none of them passes on any machine unless the server lets the client wait for ever. */
export const TIMEOUTS: SmtpTimeouts = {
  connect: 60_000,
  greeting: 60_000,
  handshake: 60_000,
  envelope: 60_000,
  body: 60_000,
  idle: 60_000,
}

export function transportTo(port: number, extra: Partial<SmtpTransport> = {}): SmtpTransport {
  return {
    kind: 'smtp',
    name: 'default',
    host: '127.0.0.1',
    port,
    secure: false,
    requireTLS: false,
    pipelining: true,
    tls: {},
    ehloName: 'client.example',
    messagesPerConnection: 100_000,
    ...extra,
    timeouts: { ...TIMEOUTS, ...extra.timeouts },
  }
}

/** A sender that says goodbye when the test ends. */
export function senderTo(
  port: number,
  extra: Partial<Omit<SmtpTransport, 'timeouts'>> & { timeouts?: Partial<SmtpTimeouts> } = {},
  connections = 5,
): SmtpSender {
  const config = transportTo(port, extra as Partial<SmtpTransport>)
  const sender = new SmtpSender(config, connections)
  onTestFinished(() => sender.quit())
  return sender
}

/** Keeps what a transport notes. */
export class Notes implements Progress {
  readonly phases: string[] = []
  replies: [number, RecipientOutcome['result'][]][] = []
  claim: WithdrawnCode | undefined
  /** Called when the envelope is about to join a write. */
  atCommit: (() => void) | undefined

  enterPhase(phase: string): void {
    this.phases.push(phase)
  }

  commit(): 'committed' | WithdrawnCode {
    this.atCommit?.()
    return this.claim ?? 'committed'
  }

  release(): void {
    this.phases.push('released')
  }

  replied(code: number, results: RecipientOutcome['result'][]): void {
    this.phases.push('replied')
    this.replies.push([code, results])
  }

  sends(): void {}

  addTiming(): void {}
}

export interface Sending {
  from?: string
  to?: string[]
  text?: string
  bytes?: Buffer
  notes?: Notes
  /** Milliseconds. */
  limit?: number
}

/** SMTP sends the bytes and looks at nothing else. */
const NO_LETTER = {} as WirePayload
const NO_PARTS = { subject: '', html: '', text: '' }

export function send(sender: SmtpSender, sending: Sending = {}): Promise<SendResult> {
  const {
    from = 'a@acme.example',
    to = ['ada@example.com'],
    text = 'Hello',
    notes,
    limit = 100_000,
  } = sending
  const bytes = sending.bytes ?? Buffer.from(`Subject: hi\r\n\r\n${text}\r\n`)
  return sender.send(
    { envelope: { from, to }, composed: { bytes, transparent: false }, payload: NO_LETTER, parts: NO_PARTS },
    notes ?? new Notes(),
    performance.now() + limit,
  )
}
