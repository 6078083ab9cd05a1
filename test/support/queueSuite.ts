/**
 * The contract of a queue, as tests. A driver is done when it passes; what it can't do is declared in its
 * capabilities, and stands in the README's table.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { NO_DATA } from '../../src/json.js'
import { mintId } from '../../src/ids.js'
import type { Outcome } from '../../src/outcome.js'
import type {
  ChangeListener,
  Consumer,
  ListQuery,
  QueueDriver,
  QueuedMessage,
} from '../../src/queue/driver.js'
import {
  isOpen,
  type MailJob,
  mergeRecipients,
  openRecipients,
  type Settlement,
  type Status,
} from '../../src/record.js'
import type { JsonText } from '../../src/wire.js'
import type { Retention } from '../../src/retention.js'
import { decide, type RetryPolicy } from '../../src/retry.js'

export interface SuiteOptions {
  limit: number
  maxAge: number
  retain: Retention
  changed: ChangeListener
}

export interface QueueCapabilities {
  /** Whether `list({ q })` finds text, and not only a whole id. */
  search: boolean
}

/** Opens an empty queue; what it needs for that is removed after the test. */
export type OpenQueue = (options: SuiteOptions) => Promise<QueueDriver>

const DAY = 86_400_000
const POLICY: RetryPolicy = { attempts: 3, baseDelay: 20, factor: 1, maxDelay: 20, jitter: 'none' }

export function jobOf(fields: Partial<MailJob> = {}): MailJob {
  const now = Date.now()
  const id = fields.id ?? mintId(now)
  return {
    id,
    messageId: `<${id}@example.com>`,
    date: now,
    from: { address: 'shop@example.com' },
    to: [{ address: 'ada@example.com' }],
    cc: [],
    bcc: [],
    replyTo: [],
    envelopeFrom: 'shop@example.com',
    subject: 'Hello',
    content: { kind: 'template', name: 'welcome', data: '{"name":"Ada"}' as JsonText },
    headers: [],
    references: [],
    attachments: [],
    transport: 'default',
    priority: 5,
    acceptedAt: now,
    expiresAt: now + DAY,
    onUncertain: 'retry',
    tags: [],
    ...fields,
  }
}

/** An outcome as a thread would give it. */
export function outcomeOf(result: Outcome['result'], extra: Partial<Outcome> = {}): Outcome {
  const facts = { message: result, phase: 'replied' as const, recipients: [], timings: {}, thread: 1 }
  switch (result) {
    case 'sent':
      return { ...facts, result, code: 'OK', ...extra } as Outcome
    case 'rejected':
      return { ...facts, result, code: 'SMTP_REJECTED', ...extra } as Outcome
    case 'deferred':
      return { ...facts, result, code: 'SMTP_DEFERRED', ...extra } as Outcome
    case 'uncertain':
      return { ...facts, result, code: 'REPLY_LOST', phase: 'body', ...extra } as Outcome
    case 'withdrawn':
      return { ...facts, result, code: 'CANCELLED', phase: 'connecting', ...extra } as Outcome
  }
}

export function settlementOf({ job, state }: QueuedMessage, outcome: Outcome): Settlement {
  const now = Date.now()
  const recipients = mergeRecipients(state.recipients, outcome)
  const count = (status: string): number =>
    recipients.filter((recipient) => recipient.status === status).length
  const standing = {
    policy: POLICY,
    onUncertain: job.onUncertain,
    counted: state.counted + 1,
    tries: state.attempts.length + 1,
    sent: count('sent'),
    failed: count('failed'),
    open: recipients.filter(isOpen).length,
  }
  return {
    attempt: { start: now, end: now, thread: 1, counted: true, outcome },
    verdict: decide(outcome, standing, now, 0.5),
    recipients,
  }
}

/** Follows the changes a queue announces, and lets a test wait for one. */
class Changes {
  readonly log: { id: string; status: Status; at: number }[] = []
  readonly #waiting: { id: string; status: Status; resolve: () => void }[] = []

  readonly listener: ChangeListener = ({ job, state }) => {
    this.log.push({ id: job.id, status: state.status, at: Date.now() })
    for (const waiter of this.#waiting)
      if (waiter.id === job.id && waiter.status === state.status) waiter.resolve()
  }

  async until(id: string, status: Status): Promise<void> {
    if (this.log.some((change) => change.id === id && change.status === status)) return
    await new Promise<void>((resolve) => this.#waiting.push({ id, status, resolve }))
  }

  of(id: string): Status[] {
    return this.log.filter((change) => change.id === id).map(({ status }) => status)
  }
}

/** A consumer whose deliveries end when, and as, the test says. */
class Deliveries implements Consumer {
  readonly taken: QueuedMessage[] = []
  readonly recipients: string[][] = []
  readonly contents: MailJob['content'][] = []
  /** Whether a delivery under way can be taken back. */
  withdrawable = false
  open = 0
  mostOpen = 0
  readonly #script: (message: QueuedMessage, nth: number) => Outcome | Promise<Outcome>

  constructor(
    readonly slots: number,
    script: (message: QueuedMessage, nth: number) => Outcome | Promise<Outcome> = () => outcomeOf('sent'),
  ) {
    this.#script = script
  }

  async deliver(message: QueuedMessage): Promise<Settlement> {
    this.taken.push(message)
    this.recipients.push(openRecipients(message.state))
    this.contents.push(message.job.content)
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    const outcome = await this.#script(message, this.taken.length)
    this.open--
    return settlementOf(message, outcome)
  }

  cancel(): boolean {
    return this.withdrawable
  }

  lost(message: QueuedMessage): Settlement {
    return settlementOf(message, outcomeOf('uncertain'))
  }

  get ids(): string[] {
    return this.taken.map(({ job }) => job.id)
  }
}

export function queueSuite(
  name: string,
  openQueue: OpenQueue,
  capabilities: QueueCapabilities = { search: true },
): void {
  describe(`queue: ${name}`, () => {
    const opened: QueueDriver[] = []
    afterEach(async () => {
      await Promise.all(
        opened.splice(0).map(async (queue) => {
          await queue.drain(100)
          await queue.close()
        }),
      )
    })

    async function open(
      options: Partial<SuiteOptions> = {},
    ): Promise<{ queue: QueueDriver; changes: Changes }> {
      const changes = new Changes()
      const queue = await openQueue({
        limit: 1000,
        maxAge: DAY,
        retain: { count: 1000, age: DAY, data: 'until-settled', keys: DAY },
        changed: changes.listener,
        ...options,
      })
      opened.push(queue)
      return { queue, changes }
    }

    /** Enqueues one job that must be taken in. */
    async function put(queue: QueueDriver, fields: Partial<MailJob> = {}): Promise<string> {
      const job = jobOf(fields)
      expect(await queue.enqueue([job])).toEqual([{ result: 'queued' }])
      return job.id
    }

    describe('delivery', () => {
      it('delivers a message once and keeps what became of it', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        const deliveries = new Deliveries(2)
        await queue.start(deliveries)
        await changes.until(id, 'sent')
        expect(deliveries.ids).toEqual([id])
        expect(changes.of(id)).toEqual(['queued', 'sending', 'sent'])
        const message = await queue.find(id)
        expect(message).toMatchObject({ id, status: 'sent', template: 'welcome', uncertain: false })
        expect(message?.attempts).toHaveLength(1)
        expect(message?.recipients).toEqual([{ address: 'ada@example.com', status: 'sent' }])
        expect(message?.settledAt).toBeDefined()
      })

      it('takes the higher priority first, and the older within one', async () => {
        const { queue, changes } = await open()
        const ids = []
        for (const priority of [5, 0, 9, 5, 9]) ids.push(await put(queue, { priority }))
        const deliveries = new Deliveries(1)
        await queue.start(deliveries)
        await changes.until(ids[1] ?? '', 'sent')
        expect(deliveries.ids).toEqual([ids[2], ids[4], ids[0], ids[3], ids[1]])
      })

      it('never has more deliveries open than there are slots', async () => {
        const { queue, changes } = await open()
        const ids = await Promise.all(Array.from({ length: 30 }, () => put(queue)))
        const deliveries = new Deliveries(3, async () => {
          await new Promise((resolve) => setImmediate(resolve))
          return outcomeOf('sent')
        })
        await queue.start(deliveries)
        await Promise.all(ids.map((id) => changes.until(id, 'sent')))
        expect(deliveries.mostOpen).toBe(3)
        expect(deliveries.taken).toHaveLength(30)
      })

      it('hands out again what is held for a while, with no attempt to show', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        let nth = 0
        const deliveries = new Deliveries(1)
        await queue.start({
          slots: 1,
          cancel: () => false,
          lost: () => undefined,
          deliver: async (message) =>
            ++nth > 1
              ? deliveries.deliver(message)
              : {
                  verdict: { status: 'held', reason: 'breaker', nextAttemptAt: Date.now() + 30 },
                  recipients: message.state.recipients,
                },
        })
        await changes.until(id, 'held')
        expect(await queue.find(id)).toMatchObject({ status: 'held', heldReason: 'breaker', attempts: [] })
        await changes.until(id, 'sent')
        expect((await queue.find(id))?.attempts).toHaveLength(1)
      })

      it('tries a deferred message again when it is due, and not before', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        await queue.start(new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'deferred' : 'sent')))
        await changes.until(id, 'sent')
        const deferred = changes.log.find(({ status }) => status === 'deferred')
        const again = changes.log.filter(({ status }) => status === 'sending')[1]
        expect((again?.at ?? 0) - (deferred?.at ?? 0)).toBeGreaterThanOrEqual(POLICY.baseDelay - 2)
        expect((await queue.find(id))?.attempts).toHaveLength(2)
      })

      it('gives up after the last attempt', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        await queue.start(new Deliveries(1, () => outcomeOf('deferred')))
        await changes.until(id, 'failed')
        expect((await queue.find(id))?.attempts).toHaveLength(POLICY.attempts)
        expect((await queue.find(id))?.recipients[0]?.status).toBe('failed')
      })

      it('tries only the recipients again that are still open', async () => {
        const { queue, changes } = await open()
        const to = ['ok', 'no', 'later'].map((local) => ({ address: `${local}@example.com` }))
        const id = await put(queue, { to })
        const first: Partial<Outcome> = {
          recipients: [
            { address: 'ok@example.com', result: 'accepted' },
            { address: 'no@example.com', result: 'rejected', reply: { code: 550, text: 'no' } },
            { address: 'later@example.com', result: 'deferred', reply: { code: 451, text: 'later' } },
          ],
        }
        const deliveries = new Deliveries(1, (_, nth) => outcomeOf('sent', nth === 1 ? first : {}))
        await queue.start(deliveries)
        await changes.until(id, 'partial')
        expect(deliveries.recipients).toEqual([to.map(({ address }) => address), ['later@example.com']])
        expect((await queue.find(id))?.recipients.map(({ status }) => status)).toEqual([
          'sent',
          'failed',
          'sent',
        ])
      })

      it('waits for the time a message is meant for', async () => {
        const { queue, changes } = await open()
        const notBefore = Date.now() + 60
        const id = await put(queue, { notBefore })
        await queue.start(new Deliveries(1))
        await changes.until(id, 'sent')
        expect(changes.log.find(({ status }) => status === 'sending')?.at).toBeGreaterThanOrEqual(notBefore)
      })

      it('holds an uncertain message where that is wished, and marks it', async () => {
        const { queue, changes } = await open()
        const id = await put(queue, { onUncertain: 'hold' })
        await queue.start(new Deliveries(1, () => outcomeOf('uncertain')))
        await changes.until(id, 'held')
        expect(await queue.find(id)).toMatchObject({
          status: 'held',
          heldReason: 'uncertain',
          uncertain: true,
        })
      })
    })

    describe('expiry', () => {
      it('ends a message whose time has passed, whatever it waits for', async () => {
        const { queue, changes } = await open()
        const expiresAt = Date.now() + 80
        const held = await put(queue, { expiresAt, onUncertain: 'hold' })
        await queue.start(new Deliveries(1, () => outcomeOf('uncertain')))
        await changes.until(held, 'held')
        await queue.pause()
        const waiting = await put(queue, { expiresAt })
        await Promise.all([held, waiting].map((id) => changes.until(id, 'expired')))
        expect((await queue.find(waiting))?.attempts).toHaveLength(0)
        expect((await queue.find(held))?.attempts).toHaveLength(1)
      })

      it('delivers nothing that expired before it was taken', async () => {
        const { queue, changes } = await open()
        const id = await put(queue, { expiresAt: Date.now() - 1 })
        const deliveries = new Deliveries(1)
        await queue.start(deliveries)
        await changes.until(id, 'expired')
        expect(deliveries.taken).toHaveLength(0)
      })
    })

    describe('acceptance', () => {
      it('takes the same key with the same content once', async () => {
        const { queue } = await open()
        const first = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
        const again = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
        const other = jobOf({ idempotencyKey: 'k', fingerprint: 'b' })
        expect(await queue.enqueue([first, again, other])).toEqual([
          { result: 'queued' },
          { result: 'duplicate', id: first.id, messageId: first.messageId },
          { result: 'conflict' },
        ])
        expect((await queue.stats()).accepted).toBe(1)
      })

      it('takes the same id once', async () => {
        const { queue } = await open()
        const job = jobOf()
        await queue.enqueue([job])
        expect(await queue.enqueue([job])).toEqual([
          { result: 'duplicate', id: job.id, messageId: job.messageId },
        ])
      })

      it('refuses what goes beyond its limit, and takes more once there is room', async () => {
        const { queue, changes } = await open({ limit: 2 })
        const answers = await queue.enqueue([jobOf(), jobOf(), jobOf()])
        expect(answers.map(({ result }) => result)).toEqual(['queued', 'queued', 'full'])
        await queue.start(new Deliveries(1))
        const [first] = changes.log
        await changes.until(first?.id ?? '', 'sent')
        expect((await queue.enqueue([jobOf()]))[0]?.result).toBe('queued')
      })

      it('takes the same id with other content for a conflict, with a key or without', async () => {
        const { queue } = await open()
        const job = jobOf({ fingerprint: 'a' })
        const keyed = jobOf({ fingerprint: 'a', idempotencyKey: 'k' })
        const { id, fingerprint: _, ...unsaid } = job
        const answers = await queue.enqueue([
          job,
          { ...job, fingerprint: 'b' },
          { ...unsaid, id },
          keyed,
          { ...keyed, fingerprint: 'b' },
        ])
        expect(answers.map(({ result }) => result)).toEqual([
          'queued',
          'conflict',
          'duplicate',
          'queued',
          'conflict',
        ])
      })
    })

    describe('by hand', () => {
      it('cancels what waits', async () => {
        const { queue, changes } = await open()
        const deliveries = new Deliveries(1)
        const id = await put(queue)
        expect((await queue.cancel(id)).status).toBe('cancelled')
        const later = await put(queue)
        await queue.start(deliveries)
        await changes.until(later, 'sent')
        expect(deliveries.ids).toEqual([later])
        await expect(queue.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })
        await expect(queue.cancel(mintId(0))).rejects.toMatchObject({ code: 'NOT_FOUND' })
      })

      it('does not cancel what is being sent', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        let finish: (outcome: Outcome) => void = () => undefined
        await queue.start(new Deliveries(1, () => new Promise((resolve) => (finish = resolve))))
        await changes.until(id, 'sending')
        await expect(queue.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })
        finish(outcomeOf('sent'))
        await changes.until(id, 'sent')
      })

      it('cancels what is on its way as long as the consumer can take it back', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        const finish: ((outcome: Outcome) => void)[] = []
        const deliveries = new Deliveries(2, () => new Promise((resolve) => finish.push(resolve)))
        deliveries.withdrawable = true
        await queue.start(deliveries)
        await changes.until(id, 'sending')
        expect((await queue.cancel(id)).status).toBe('cancelled')
        await expect(queue.cancel(id)).rejects.toMatchObject({ code: 'CONFLICT' })

        // What the delivery that was taken back comes to no longer counts, whatever happens meanwhile.
        await queue.retry(id)
        while (finish.length < 2) await new Promise((resolve) => setImmediate(resolve))
        finish[0]?.(outcomeOf('withdrawn'))
        finish[1]?.(outcomeOf('sent'))
        await changes.until(id, 'sent')
        expect(changes.of(id).filter((status) => status === 'cancelled')).toHaveLength(1)
        expect((await queue.stats()).sent).toBe(1)
      })

      it('ends a message that expired on its way', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        await queue.start(new Deliveries(1, () => outcomeOf('withdrawn', { code: 'EXPIRED' })))
        await changes.until(id, 'expired')
        expect(await queue.find(id)).toMatchObject({ status: 'expired', attempts: [{ code: 'EXPIRED' }] })
      })

      it('redrives a failed message with its history', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        const deliveries = new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'rejected' : 'sent'))
        await queue.start(deliveries)
        await changes.until(id, 'failed')
        expect((await queue.retry(id)).status).toMatch(/queued|sending/)
        await changes.until(id, 'sent')
        expect((await queue.find(id))?.attempts).toHaveLength(2)
        expect(deliveries.contents[1]).toMatchObject({ data: '{"name":"Ada"}' })
        await expect(queue.retry(id)).rejects.toMatchObject({ code: 'CONFLICT' })
      })

      it('sends a held message again when asked', async () => {
        const { queue, changes } = await open()
        const id = await put(queue, { onUncertain: 'hold' })
        await queue.start(new Deliveries(1, (_, nth) => outcomeOf(nth === 1 ? 'uncertain' : 'sent')))
        await changes.until(id, 'held')
        await queue.retry(id)
        await changes.until(id, 'sent')
        expect(await queue.find(id)).toMatchObject({ uncertain: true, attempts: [{}, {}] })
      })

      it('settles a held message as sent when somebody knows', async () => {
        const { queue, changes } = await open()
        const id = await put(queue, { onUncertain: 'hold' })
        await queue.start(new Deliveries(1, () => outcomeOf('uncertain')))
        await changes.until(id, 'held')
        expect(await queue.markSent(id)).toMatchObject({ status: 'sent', recipients: [{ status: 'sent' }] })
        await expect(queue.markSent(id)).rejects.toMatchObject({ code: 'CONFLICT' })
      })

      it('hands out nothing while paused, and shows what waits as held', async () => {
        const { queue, changes } = await open()
        const deliveries = new Deliveries(1)
        await queue.start(deliveries)
        await queue.pause()
        const id = await put(queue)
        expect(await queue.find(id)).toMatchObject({ status: 'held', heldReason: 'paused' })
        expect(await queue.stats()).toMatchObject({ held: 1, queued: 0, paused: true })
        expect((await queue.list({ status: 'held' })).messages.map((message) => message.id)).toEqual([id])
        expect(deliveries.taken).toHaveLength(0)
        await queue.resume()
        await changes.until(id, 'sent')
      })

      it('obeys who cancels as soon as it is told of a message, or says that it is too late', async () => {
        const answers: Promise<unknown>[] = []
        const changes = new Changes()
        const { queue } = await open({
          changed: (message) => {
            changes.listener(message)
            if (message.state.status === 'queued' && answers.length === 0)
              answers.push(
                queue.cancel(message.job.id).then(
                  ({ status }) => status,
                  (error: unknown) => (error as { code: string }).code,
                ),
              )
          },
        })
        const deliveries = new Deliveries(1)
        await queue.start(deliveries)
        const id = await put(queue)
        const [answer] = await Promise.all(answers)
        await changes.until(await put(queue), 'sent')
        if (answer === 'CONFLICT') await changes.until(id, 'sent')
        else expect(answer).toBe('cancelled')
        expect(deliveries.ids.includes(id)).toBe(answer === 'CONFLICT')
        expect((await queue.find(id))?.status).toBe(answer === 'CONFLICT' ? 'sent' : 'cancelled')
      })
    })

    describe('looking', () => {
      it('lists the newest first, in pages that neither skip nor repeat', async () => {
        const { queue } = await open()
        const ids = []
        for (let index = 0; index < 7; index++) ids.push(await put(queue))
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const page = await queue.list({ limit: 3, ...(cursor === undefined ? {} : { cursor }) })
          seen.push(...page.messages.map(({ id }) => id))
          cursor = page.cursor
        } while (cursor !== undefined)
        expect(seen).toEqual(ids.reverse())
        await expect((async () => queue.list({ cursor: 'x' }))()).rejects.toMatchObject({ path: 'cursor' })
        await expect((async () => queue.list({ limit: 0 }))()).rejects.toMatchObject({ path: 'limit' })
      })

      it.runIf(capabilities.search)('finds by recipient, subject, template and tag', async () => {
        const { queue } = await open()
        const wanted = await put(queue, {
          to: [{ address: 'Grace@navy.example' }],
          subject: 'Compiler',
          tags: ['bulk-7'],
          content: { kind: 'template', name: 'receipt', data: NO_DATA },
        })
        await put(queue)
        for (const q of ['grace@', 'compil', 'receipt', 'bulk-7']) {
          expect((await queue.list({ q })).messages.map(({ id }) => id)).toEqual([wanted])
        }
      })

      it('finds by exactly one recipient, tag, template and time', async () => {
        const { queue } = await open()
        await queue.start(new Deliveries(1))
        const first = await put(queue, { to: [{ address: 'Grace@navy.example' }], tags: ['a', 'b'] })
        const acceptedAt = Date.now() + 1_000
        const second = await put(queue, {
          to: [{ address: 'grace@navy.example.org' }],
          tags: ['ab'],
          content: { kind: 'template', name: 'welcome-2', data: NO_DATA },
          acceptedAt,
        })
        const ids = async (query: ListQuery): Promise<string[]> =>
          (await queue.list(query)).messages.map(({ id }) => id)
        expect(await ids({ recipient: 'grace@NAVY.example' })).toEqual([first])
        expect(await ids({ tag: 'a' })).toEqual([first])
        expect(await ids({ template: 'welcome' })).toEqual([first])
        expect(await ids({ since: acceptedAt })).toEqual([second])
        expect(await ids({ until: acceptedAt - 1 })).toEqual([first])
        expect(await ids({ q: first })).toEqual([first])
        expect(await ids({ recipient: 'nobody@navy.example' })).toEqual([])
        if (capabilities.search) {
          expect(await ids({ q: 'grace', tag: 'ab', template: 'welcome-2' })).toEqual([second])
          expect(await ids({ q: 'gr' })).toEqual([second, first])
        } else await expect(queue.list({ q: 'gr' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
      })

      it('counts so that what was accepted is what there is', async () => {
        const { queue, changes } = await open()
        await queue.start(new Deliveries(4, (_, nth) => outcomeOf(nth % 3 === 0 ? 'rejected' : 'sent')))
        const ids = await Promise.all(Array.from({ length: 12 }, () => put(queue)))
        const cancelled = await put(queue, { notBefore: Date.now() + DAY / 2 })
        await queue.cancel(cancelled)
        await Promise.all(
          ids.map((id) => Promise.race([changes.until(id, 'sent'), changes.until(id, 'failed')])),
        )
        const stats = await queue.stats()
        expect(stats).toMatchObject({ accepted: 13, sent: 8, failed: 4, cancelled: 1, queued: 0, sending: 0 })
      })

      it('finds by a whole id only what fits the rest of the query', async () => {
        const { queue } = await open()
        const acceptedAt = Date.now()
        const id = await put(queue, { tags: ['a'], acceptedAt })
        const found = async (query: ListQuery): Promise<number> =>
          (await queue.list({ ...query, q: id })).messages.length
        expect(await found({ tag: 'a', template: 'welcome', recipient: 'ADA@example.com' })).toBe(1)
        expect(await found({ status: 'queued', since: acceptedAt, until: acceptedAt })).toBe(1)
        const others: ListQuery[] = [
          { tag: 'b' },
          { template: 'receipt' },
          { recipient: 'bob@example.com' },
          { since: acceptedAt + 1 },
          { until: acceptedAt - 1 },
          { status: 'held' },
        ]
        for (const other of others) expect(await found(other), JSON.stringify(other)).toBe(0)
      })

      it('tells how long the longest-waiting of all that is due has waited, whatever was accepted first', async () => {
        const { queue } = await open()
        await queue.pause()
        await put(queue, { notBefore: Date.now() + DAY })
        expect((await queue.stats()).oldest).toBe(0)
        const due = Date.now() + 150
        await put(queue, { notBefore: due })
        const acceptedAt = Date.now()
        await put(queue, { acceptedAt })
        await expect
          .poll(async () => {
            const now = Date.now()
            const { oldest } = await queue.stats()
            return now > due + 50 && oldest >= now - acceptedAt && oldest <= Date.now() - acceptedAt
          })
          .toBe(true)
      })

      it('counts the wait of what is tried again from when it was due', async () => {
        const { queue, changes } = await open()
        await queue.start(new Deliveries(1, () => outcomeOf('deferred')))
        const id = await put(queue)
        await changes.until(id, 'deferred')
        await queue.pause()
        const again = Date.now()
        await expect.poll(async () => (await queue.stats()).oldest).toBeGreaterThan(100)
        expect((await queue.stats()).oldest).toBeLessThanOrEqual(Date.now() - again + 5)
        await queue.cancel(id)
        expect((await queue.stats()).oldest).toBe(0)
      })
    })

    describe('keeping', () => {
      it('forgets settled messages beyond the count, the oldest first', async () => {
        const { queue, changes } = await open({
          retain: { count: 2, age: DAY, data: 'until-settled', keys: DAY },
        })
        await queue.start(new Deliveries(1))
        const ids = []
        for (let index = 0; index < 4; index++) {
          const id = await put(queue)
          await changes.until(id, 'sent')
          ids.push(id)
        }
        const last = ids.at(-1) ?? ''
        expect(await queue.find(last)).toBeDefined()
        expect((await queue.list({})).messages.length).toBeLessThanOrEqual(3)
        expect(await queue.find(ids[0] ?? '')).toBeUndefined()
      })

      it('keeps the data of what failed, for a retry', async () => {
        const { queue, changes } = await open()
        const deliveries = new Deliveries(1, () => outcomeOf('rejected'))
        await queue.start(deliveries)
        const id = await put(queue)
        await changes.until(id, 'failed')
        await queue.retry(id)
        expect(deliveries.contents.at(-1)).toMatchObject({ data: '{"name":"Ada"}' })
      })

      it('gives a job back with its content, and says when that was dropped', async () => {
        const { queue, changes } = await open()
        const attachments = [
          { filename: 'a.txt', content: 'text', size: 4 },
          { filename: 'b.bin', content: new Uint8Array([0, 255]), size: 2 },
        ]
        const id = await put(queue, { attachments })
        const content = { kind: 'template', name: 'welcome', data: '{"name":"Ada"}' }
        expect(await queue.load(id)).toMatchObject({ id, content, attachments })
        await queue.start(new Deliveries(1))
        await changes.until(id, 'sent')
        await expect.poll(() => queue.load(id)).toBe('dropped')
        expect(await queue.load(mintId(Date.now()))).toBeUndefined()
      })
    })

    describe('keys', () => {
      it('are remembered when their message is not', async () => {
        const { queue, changes } = await open({
          retain: { count: 0, age: DAY, data: 'until-settled', keys: DAY },
        })
        await queue.start(new Deliveries(1))
        const job = jobOf({ idempotencyKey: 'k', fingerprint: 'a' })
        await queue.enqueue([job])
        await changes.until(job.id, 'sent')
        const again = await queue.enqueue([jobOf({ idempotencyKey: 'k', fingerprint: 'a' })])
        expect(again).toEqual([{ result: 'duplicate', id: job.id, messageId: job.messageId }])
      })

      it('are forgotten in time, but not before their message has ended', async () => {
        const { queue, changes } = await open({
          retain: { count: 0, age: DAY, data: 'until-settled', keys: 0 },
        })
        const key = { idempotencyKey: 'k', fingerprint: 'a' }
        const job = jobOf({ ...key, notBefore: Date.now() + DAY, expiresAt: Date.now() + 100 })
        await queue.enqueue([job])
        expect(await queue.enqueue([jobOf(key)])).toMatchObject([{ result: 'duplicate' }])
        await queue.start(new Deliveries(1))
        await changes.until(job.id, 'expired')
        expect(await queue.enqueue([jobOf(key)])).toEqual([{ result: 'queued' }])
      })
    })

    describe('close', () => {
      it('waits for what is under way; only what would be lost is handed out still', async () => {
        const { queue, changes } = await open()
        const [first, second] = [await put(queue), await put(queue)]
        let finish: (outcome: Outcome) => void = () => undefined
        const deliveries = new Deliveries(1, () => new Promise((resolve) => (finish = resolve)))
        await queue.start(deliveries)
        await changes.until(first, 'sending')
        const closed = queue.drain(10_000)
        finish(outcomeOf('sent'))
        if (!queue.durable) {
          await changes.until(second, 'sending')
          finish(outcomeOf('sent'))
        }
        await closed
        expect(changes.of(first)).toContain('sent')
        expect(deliveries.ids).toEqual(queue.durable ? [first] : [first, second])
      })

      it('does not wait beyond the deadline', async () => {
        const { queue, changes } = await open()
        const id = await put(queue)
        await queue.start(new Deliveries(1, () => new Promise(() => undefined)))
        await changes.until(id, 'sending')
        await queue.drain(20)
      })
    })
  })
}
