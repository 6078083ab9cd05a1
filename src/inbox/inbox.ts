import { EventEmitter } from 'node:events'
import { Validator } from '../validation.js'
import { urlOf } from '../web/listen.js'
import { type Fault, FaultPlan, type Faults } from './faults.js'
import { type MailFilter, matcherOf } from './mailSearch.js'
import { MailStore, type RawMail } from './mailStore.js'
import { MailWaiters, type WaitOptions } from './mailWaiters.js'
import { type MailSummary, type ReceivedMail, summaryOf } from './receivedMail.js'
import { type SmtpExtension, SmtpReceiver, type Visit, VisitLog } from './smtpReceiver.js'

export interface InboxOptions {
  /** Port to listen on. @default 0: any free port */
  port?: number
  /** Address to listen on. @default '127.0.0.1' */
  host?: string
  /** Number of messages kept; the oldest are deleted first. The inbox keeps as many connections, but at most 500. @default 2000 */
  keep?: number
  /** Bytes of all messages kept. @default 268_435_456 (256 MB) */
  keepBytes?: number
  /** Maximum bytes of one message, announced as SIZE (RFC 1870). A larger message is rejected with 552. @default 26_214_400 (25 MB) */
  size?: number
  /** User and password that a client must authenticate with. @default no authentication */
  auth?: { user: string; pass: string }
  /** SMTP extensions not to announce. @default none */
  without?: readonly SmtpExtension[]
  /** Faults to simulate from the start, such as `{ at: 'rcpt', do: 'defer' }`. @default none */
  faults?: readonly Fault[]
}

/** A real SMTP server that keeps what it receives, and fails on demand. */
export interface Inbox {
  /** The inbox's SMTP URL: `smtp://127.0.0.1:PORT`, without the credentials. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Messages received since the start or the last `clear()`, including those no longer kept. */
  readonly count: number
  /** Returns the kept messages, parsed, oldest first. */
  messages(): Promise<ReceivedMail[]>
  /** Returns the kept messages as bytes, oldest first, without parsing them. */
  stored(): RawMail[]
  find(id: string): Promise<ReceivedMail | undefined>
  /** Returns the matching messages, newest first. */
  search(filter: MailFilter, limit?: number): Promise<ReceivedMail[]>
  /**
   * Returns the matching messages as a list shows them, newest first. Without a search, each message is parsed once at most.
   * @internal
   */
  summaries(q: string, limit: number): Promise<MailSummary[]>
  /**
   * Resolves to the first matching message: one that the inbox already has, or the next one to arrive.
   * @throws Error if none arrived in time, naming the messages that did.
   */
  waitFor(options?: WaitOptions): Promise<ReceivedMail>
  /** Deletes one message. @returns whether it existed */
  delete(id: string): boolean
  /** Deletes all messages and the record of connections. Faults stay. */
  clear(): void
  readonly faults: Faults
  /** Returns the last connections with their commands, oldest first. */
  connections(): Visit[]
  on(event: 'received', listener: (mail: RawMail) => void): void
  /** `cleared`: messages were deleted; `faults`: the list of faults has changed. */
  on(event: 'cleared' | 'faults', listener: () => void): void
  off(event: 'received', listener: (mail: RawMail) => void): void
  off(event: 'cleared' | 'faults', listener: () => void): void
  /** Stops listening and destroys open connections. */
  close(): Promise<void>
}

type InboxEvent = 'received' | 'cleared' | 'faults'

const EXTENSIONS = [
  'PIPELINING',
  '8BITMIME',
  'SMTPUTF8',
  'ENHANCEDSTATUSCODES',
] as const satisfies SmtpExtension[]
const OPTIONS = Object.keys({
  port: true,
  host: true,
  keep: true,
  keepBytes: true,
  size: true,
  auth: true,
  without: true,
  faults: true,
} satisfies Record<keyof InboxOptions, true>)
const check: Validator = new Validator('INVALID_OPTIONS')

/** Checks the options, and fills in the defaults. The plan checks each fault. */
function resolveInboxOptions(given: InboxOptions) {
  const options: InboxOptions = check.object(given, '', OPTIONS)
  const { port = 0, host = '127.0.0.1', without = [], faults = [] } = options
  const { keep = 2000, keepBytes = 256 * 1024 * 1024, size = 25 * 1024 * 1024 } = options
  check.integer(port, 'port', 0, 65_535)
  check.string(host, 'host')
  for (const [name, count] of Object.entries({ keep, keepBytes, size })) check.number(count, name, 0)
  check.array(without, 'without', EXTENSIONS.length)
  for (const [index, each] of without.entries()) check.oneOf(each, `without[${index}]`, EXTENSIONS)
  check.array(faults, 'faults', Infinity)
  const { auth } = options
  if (auth !== undefined) {
    const { user, pass } = check.object(auth, 'auth', ['user', 'pass'])
    check.string(user, 'auth.user')
    check.string(pass, 'auth.pass')
  }
  return { port, host, keep, keepBytes, size, without, faults, ...(auth === undefined ? {} : { auth }) }
}

/**
 * Starts an inbox on loopback. It keeps the process alive until it is closed.
 * @throws ThreadpostError `INVALID_OPTIONS`; TypeError if a fault is invalid
 */
export async function startInbox(options: InboxOptions = {}): Promise<Inbox> {
  const { port, host, keep, keepBytes, size, without, faults, ...login } = resolveInboxOptions(options)
  const store = new MailStore(keep, keepBytes)
  const visits = new VisitLog(Math.min(keep, 500))
  const waiters = new MailWaiters(store)
  const events = new EventEmitter<{ received: [RawMail]; cleared: []; faults: [] }>().setMaxListeners(0)
  const plan = new FaultPlan(() => events.emit('faults'))
  plan.set(faults)

  const receiver = new SmtpReceiver({ size, without, ...login }, plan, visits, (envelope, raw) => {
    const mail = store.add(envelope, raw)
    waiters.arrived(mail)
    events.emit('received', mail)
    return mail
  })
  const search = async (filter: MailFilter, limit = Infinity): Promise<ReceivedMail[]> => {
    const matches = matcherOf(filter)
    const found: ReceivedMail[] = []
    for await (const mail of store.newestFirst()) {
      if (matches(mail) && found.push(mail) >= limit) break
    }
    return found
  }
  const address = await receiver.listen(port, host)

  return {
    url: urlOf('smtp', address),
    host: address.address,
    port: address.port,
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
    summaries: async (q, limit) =>
      q.trim() === '' ? store.newest(limit) : (await search({ q }, limit)).map(summaryOf),
    delete: (id) => {
      const existed = store.delete(id)
      if (existed) events.emit('cleared')
      return existed
    },
    waitFor: (query = {}) => waiters.waitFor(query),
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
      waiters.close()
      await receiver.close()
    },
  }
}
