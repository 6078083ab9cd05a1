import { EventEmitter } from 'node:events'
import { urlOf } from '../web/listen.js'
import { type Fault, FaultPlan, type Faults } from './faults.js'
import { type MailFilter, matcherOf } from './mailSearch.js'
import { MailStore, type RawMail } from './mailStore.js'
import { MailWaiters, type WaitOptions } from './mailWaiters.js'
import type { ReceivedMail } from './receivedMail.js'
import { type SmtpExtension, SmtpReceiver, type Visit, VisitLog } from './smtpReceiver.js'

export interface InboxOptions {
  /** Port to listen on. @default 0: any free port */
  port?: number
  /** Address to listen on. @default '127.0.0.1' */
  host?: string
  /** How many mails are kept; the oldest go first. As many connections are remembered, but at most 500. @default 2000 */
  keep?: number
  /** Bytes of all mails kept. @default 268_435_456 (256 MB) */
  keepBytes?: number
  /** Bytes one mail may have, announced as SIZE; more is refused with 552. @default 26_214_400 (25 MB) */
  size?: number
  /** Ask for this user and password. @default anybody may send */
  auth?: { user: string; pass: string }
  /** Extensions not to offer. @default none left out */
  without?: readonly SmtpExtension[]
  /** What to do wrong from the start, such as `{ at: 'rcpt', do: 'defer' }`. @default none */
  faults?: readonly Fault[]
}

/** A real SMTP server that keeps what it receives, and fails on demand. */
export interface Inbox {
  /** Where to send to: `smtp://127.0.0.1:PORT`, without the credentials. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Mails received since the start or the last `clear()`, also those no longer kept. */
  readonly count: number
  /** The mails kept, parsed, oldest first. */
  messages(): Promise<ReceivedMail[]>
  /** The mails kept as bytes, oldest first: costs nothing. */
  stored(): RawMail[]
  find(id: string): Promise<ReceivedMail | undefined>
  /** The mails that fit, newest first. */
  search(filter: MailFilter, limit?: number): Promise<ReceivedMail[]>
  /**
   * The first mail that matches: one that is there already, or else the next to come.
   * @throws Error when none came in time, saying what did come.
   */
  waitFor(options?: WaitOptions): Promise<ReceivedMail>
  /** Forgets one mail. @returns whether there was such a mail */
  delete(id: string): boolean
  /** Forgets mails and connections; faults stay. */
  clear(): void
  readonly faults: Faults
  /** The last connections and what was said on them, oldest first. */
  connections(): Visit[]
  on(event: 'received', listener: (mail: RawMail) => void): void
  /** `cleared`: mails are gone; `faults`: the list of faults is another. */
  on(event: 'cleared' | 'faults', listener: () => void): void
  off(event: 'received', listener: (mail: RawMail) => void): void
  off(event: 'cleared' | 'faults', listener: () => void): void
  /** Stops listening and destroys open connections. */
  close(): Promise<void>
}

type InboxEvent = 'received' | 'cleared' | 'faults'

/** Starts an inbox on loopback. It keeps the process alive until it is closed. */
export async function startInbox(options: InboxOptions = {}): Promise<Inbox> {
  const { keep = 2000, keepBytes = 256 * 1024 * 1024, size = 25 * 1024 * 1024 } = options
  const store = new MailStore(keep, keepBytes)
  const visits = new VisitLog(Math.min(keep, 500))
  const waiting = new MailWaiters(store)
  const events = new EventEmitter<{ received: [RawMail]; cleared: []; faults: [] }>().setMaxListeners(0)
  const plan = new FaultPlan(() => events.emit('faults'))
  plan.set(options.faults ?? [])

  const receiver = new SmtpReceiver(
    { size, without: options.without ?? [], ...(options.auth === undefined ? {} : { auth: options.auth }) },
    plan,
    visits,
    (envelope, raw) => {
      const mail = store.add(envelope, raw)
      waiting.arrived(mail)
      events.emit('received', mail)
      return mail
    },
  )
  const search = async (filter: MailFilter, limit = Infinity): Promise<ReceivedMail[]> => {
    const fits = matcherOf(filter)
    const found: ReceivedMail[] = []
    for await (const mail of store.newestFirst()) {
      if (fits(mail) && found.push(mail) >= limit) break
    }
    return found
  }
  const place = await receiver.listen(options.port ?? 0, options.host ?? '127.0.0.1')

  return {
    url: urlOf('smtp', place),
    host: place.address,
    port: place.port,
    get count() {
      return store.count
    },
    messages: async () => (await search({}, Infinity)).reverse(),
    stored: () => store.list(),
    find: async (id) => {
      const mail = store.get(id)
      return mail === undefined ? undefined : store.parse(mail)
    },
    search,
    delete: (id) => {
      const there = store.delete(id)
      if (there) events.emit('cleared')
      return there
    },
    waitFor: (query = {}) => waiting.waitFor(query),
    clear: () => {
      store.clear()
      visits.clear()
      events.emit('cleared')
    },
    faults: plan,
    connections: () => visits.list(),
    on: (event: InboxEvent, listener: (mail: RawMail) => void) => void events.on(event, listener),
    off: (event: InboxEvent, listener: (mail: RawMail) => void) => void events.off(event, listener),
    close: async () => {
      waiting.close()
      await receiver.close()
    },
  }
}
