import {
  isSettled,
  type Mailer,
  type Message,
  type MessageEvent,
  type Status,
  STATUSES,
} from '../../index.js'
import type { EventStream } from '../../web/eventStream.js'

/** What the start page shows of a message on its way. */
export interface SignUpProgress {
  status: Status
  /** Attempts made so far. */
  attempts: number
  /** Milliseconds from acceptance to its end. */
  total?: number
  /** The last attempt. */
  thread?: number
  timings?: Message['attempts'][number]['timings']
  detail?: string
  reply?: string
  /** Where the mail is in the inbox, relative to the page. */
  mail?: string
}

/** Streams a message's progress until it has come to its end. */
export async function streamProgress(mailer: Mailer, message: Message, stream: EventStream): Promise<void> {
  const stop = () => {
    for (const name of STATUSES) mailer.off(name, changed)
  }
  const tell = async (now: Message) => {
    stream.send(await progressOf(now, mailer))
    if (!isSettled(now.status)) return
    stop()
    stream.end()
  }
  // One after the other: an earlier state must not overtake a later one. Where the message can't be looked up any more the
  // stream ends, and the page asks anew.
  let turn = Promise.resolve()
  const then = (look: () => Promise<void>) => {
    turn = turn.then(look).catch(() => {
      stop()
      stream.end()
    })
  }
  const changed = ({ id, status }: MessageEvent) => {
    if (id !== message.id) return
    then(async () => {
      const now = await mailer.find(id)
      // In a burst the message may be further on already; what the event says still happened.
      if (now !== undefined) await tell(status === 'sending' ? { ...now, status } : now)
    })
  }
  for (const name of STATUSES) mailer.on(name, changed)
  stream.onClose(stop)
  then(async () => tell((await mailer.find(message.id)) ?? message))
  await turn
}

async function progressOf(message: Message, mailer: Mailer): Promise<SignUpProgress> {
  const { status, attempts, acceptedAt, settledAt } = message
  const progress: SignUpProgress = { status, attempts: attempts.length }
  const last = attempts.at(-1)
  if (settledAt !== undefined) progress.total = Date.parse(settledAt) - Date.parse(acceptedAt)
  if (last !== undefined && status !== 'sending') {
    progress.thread = last.thread
    progress.timings = last.timings
    progress.detail = last.message
    if (last.reply !== undefined) progress.reply = `${last.reply.code} ${last.reply.text}`
  }
  const mail = await inInbox(message, mailer)
  if (mail !== undefined) progress.mail = `inbox/messages/${mail}`
  return progress
}

async function inInbox({ messageId, to, status }: Message, { inbox }: Mailer): Promise<string | undefined> {
  if (inbox === undefined || (status !== 'sent' && status !== 'partial')) return undefined
  const addresses = new Set(to.map(({ address }) => address))
  for (const { id, envelope } of inbox.stored().reverse()) {
    if (!envelope.to.some((address) => addresses.has(address))) continue
    const mail = await inbox.find(id)
    if (mail?.messageId === messageId) return id
  }
  return undefined
}
