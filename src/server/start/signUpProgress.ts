import {
  explain,
  isSettled,
  type Mailer,
  type Message,
  type MessageEvent,
  type Status,
  STATUSES,
} from '../../index.js'
import type { EventStream } from '../../web/eventStream.js'

/** The state of a sign-up's message on the start page. */
export interface SignUpProgress {
  status: Status
  /** Attempts made so far. */
  attempts: number
  /** Time from acceptance to settlement, in milliseconds. */
  total?: number
  /** Thread of the last attempt. */
  thread?: number
  /** Timings of the last attempt. */
  timings?: Message['attempts'][number]['timings']
  /** The server's reply to the last attempt, or why there is none. */
  reply?: string
  /** Why the message is not sent, as a sentence. */
  explanation?: string
  /** URL of the mail in the inbox, relative to the page. */
  mail?: string
}

/** Streams a message's progress until it is settled. */
export async function streamProgress(mailer: Mailer, message: Message, stream: EventStream): Promise<void> {
  const stop = () => {
    for (const name of STATUSES) mailer.off(name, changed)
  }
  const send = async (now: Message) => {
    stream.send(await progressOf(now, mailer))
    if (!isSettled(now.status)) return
    stop()
    stream.end()
  }
  // Runs one lookup after another, because an earlier state must not overtake a later one. If a lookup fails, the
  // stream
  // ends, and the page reconnects.
  let lookups = Promise.resolve()
  const enqueue = (lookUp: () => Promise<void>) => {
    lookups = lookups.then(lookUp).catch(() => {
      stop()
      stream.end()
    })
  }
  const changed = ({ id, status }: MessageEvent) => {
    if (id !== message.id) return
    enqueue(async () => {
      const now = await mailer.find(id)
      // The message may have progressed beyond the event by now; the page still shows `sending`.
      if (now !== undefined) await send(status === 'sending' ? { ...now, status } : now)
    })
  }
  for (const name of STATUSES) mailer.on(name, changed)
  stream.onClose(stop)
  enqueue(async () => send((await mailer.find(message.id)) ?? message))
  await lookups
}

async function progressOf(message: Message, mailer: Mailer): Promise<SignUpProgress> {
  const { status, attempts, acceptedAt, settledAt } = message
  const progress: SignUpProgress = { status, attempts: attempts.length }
  const last = attempts.at(-1)
  if (settledAt !== undefined) progress.total = Date.parse(settledAt) - Date.parse(acceptedAt)
  if (last !== undefined && status !== 'sending') {
    progress.thread = last.thread
    progress.timings = last.timings
    progress.reply = last.reply === undefined ? last.message : `${last.reply.code} ${last.reply.text}`
  }
  if (status !== 'queued' && status !== 'sending' && status !== 'sent')
    progress.explanation = explain(message)
  const mail = await findInInbox(message, mailer)
  if (mail !== undefined) progress.mail = `inbox/messages/${mail}`
  return progress
}

async function findInInbox(
  { messageId, to, status }: Message,
  { inbox }: Mailer,
): Promise<string | undefined> {
  if (inbox === undefined || (status !== 'sent' && status !== 'partial')) return undefined
  const addresses = new Set(to.map(({ address }) => address))
  for (const { id, envelope } of inbox.stored().reverse()) {
    if (!envelope.to.some((address) => addresses.has(address))) continue
    const mail = await inbox.find(id)
    if (mail?.messageId === messageId) return id
  }
  return undefined
}
