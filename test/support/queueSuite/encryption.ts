import { describe, expect, it, onTestFinished } from 'vitest'
import type { MailJob } from '../../../src/message/messageState.js'
import { eraseAction } from '../../../src/privacy/eraseAction.js'
import { ERASED, testFor } from '../../../src/privacy/replaceAddresses.js'
import type { JsonText } from '../../../src/protocol/tasks.js'
import { cancelManually, markSentManually, retryManually } from '../../../src/queue/actions.js'
import type { QueueDriver } from '../../../src/queue/driver.js'
import { createEncryption, type QueueEncryption } from '../../../src/queue/encryption/queueEncryption.js'
import { unreadableSettlement } from '../../../src/queue/unreadable.js'
import { Changes } from './changes.js'
import { Deliveries } from './deliveries.js'
import type { SuiteOptions } from './fixture.js'
import { holding } from './heldMessages.js'
import { DAY, jobOf, outcomeOf } from './jobs.js'

/** One store, which can be opened several times. */
export interface Store {
  open(options: SuiteOptions & { encryption?: QueueEncryption }): Promise<QueueDriver>
  /** Everything that is stored. */
  bytes(): Promise<Buffer>
}

const [A, B] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]

/** Texts that must not be stored clear. */
const SECRETS = {
  address: 'canary.address@example.com',
  name: 'Canary Name',
  subject: 'Canary subject',
  data: 'canary data',
  header: 'canary header',
  tag: 'canary-tag',
  metadata: 'canary metadata',
  key: 'canary key',
  file: 'canary.pdf',
  attachment: 'canary attachment',
  reply: 'canary reply',
  suppressed: 'canary.suppressed@example.com',
}

function secretJob(fields: Partial<MailJob> = {}): MailJob {
  return jobOf({
    to: [{ name: SECRETS.name, address: SECRETS.address }],
    subject: SECRETS.subject,
    content: { kind: 'template', name: 'welcome', data: JSON.stringify({ a: SECRETS.data }) as JsonText },
    headers: [['X-Canary', SECRETS.header]],
    tags: [SECRETS.tag],
    metadata: { a: SECRETS.metadata },
    attachments: [
      { filename: SECRETS.file, content: SECRETS.attachment, size: SECRETS.attachment.length },
      { content: Buffer.from(SECRETS.attachment), size: SECRETS.attachment.length },
    ],
    ...fields,
  })
}

/** The tests of an encrypted queue. @param newStore creates an empty store */
export function testEncryption(newStore: () => Store | Promise<Store>): void {
  async function opened(store: Store, keys?: Buffer[]): Promise<{ queue: QueueDriver; changes: Changes }> {
    const changes = new Changes()
    const queue = await store.open({
      limit: 1000,
      maxAge: DAY,
      retain: { count: 1000, age: DAY, data: 'kept', keys: DAY },
      onChange: changes.listener,
      ...(keys === undefined ? {} : { encryption: createEncryption(keys) }),
    })
    onTestFinished(() => close(queue))
    return { queue, changes }
  }
  async function close(queue: QueueDriver): Promise<void> {
    await queue.drain(1_000)
    await queue.close()
  }

  describe('encryption', () => {
    it('stores no address and no content clear, in any status, and reads what was stored clear before', async () => {
      const store = await newStore()
      const clear = await opened(store)
      const old = jobOf({ to: [{ address: 'clear@example.com' }] })
      await clear.queue.enqueue([old])
      await close(clear.queue)

      const { queue, changes } = await opened(store, [A])
      expect(await queue.find(old.id)).toMatchObject({ to: old.to, subject: 'Hello' })
      const jobs = ['sent', 'rejected', 'deferred', 'uncertain'].map((result) =>
        secretJob({ transport: result, idempotencyKey: `${SECRETS.key} ${result}`, onUncertain: 'hold' }),
      )
      expect(await queue.enqueue(jobs)).toEqual(jobs.map(() => ({ result: 'queued' })))
      const key = `s:${encodeURIComponent(SECRETS.suppressed)}:*:bounce`
      await queue.records.write([
        { key, keepUntil: Date.now() + DAY, document: JSON.stringify({ address: SECRETS.suppressed }) },
      ])
      const seen: MailJob[] = []
      const deliveries = new Deliveries(5, ({ job }) => {
        seen.push(job)
        const message = `${SECRETS.reply} <${SECRETS.address}>`
        const result = job.transport === 'default' ? 'sent' : (job.transport as 'sent')
        return outcomeOf(result, { message, recipients: [], subject: SECRETS.subject })
      })
      await queue.start(deliveries)
      for (const [index, status] of (['sent', 'failed', 'deferred', 'held'] as const).entries())
        await changes.until(jobs[index]!.id, status)
      await changes.until(old.id, 'sent')
      const [first] = seen.filter(({ id }) => id === jobs[0]!.id)
      expect(first).toMatchObject({ content: jobs[0]!.content, headers: jobs[0]!.headers })
      expect(first?.attachments.map(({ content }) => Buffer.from(content).toString())).toEqual([
        SECRETS.attachment,
        SECRETS.attachment,
      ])

      for (const query of [
        { recipient: SECRETS.address.toUpperCase() },
        { tag: SECRETS.tag },
        { q: 'canary subj' },
        { q: SECRETS.address, status: 'held' as const },
      ]) {
        const { messages } = await queue.list(query)
        expect(messages.length, JSON.stringify(query)).toBe('status' in query ? 1 : 4)
      }
      expect((await queue.list({ recipient: 'clear@example.com' })).messages).toHaveLength(1)
      const [found] = await queue.records.read([{ from: key, to: `${key}\x00` }])
      expect(found?.map(({ document }) => document)).toEqual([
        JSON.stringify({ address: SECRETS.suppressed }),
      ])
      const loaded = await queue.load(jobs[1]!.id)
      expect(loaded).toMatchObject({ content: jobs[1]!.content })
      // Plain bytes, as in every queue, and not a Buffer.
      expect((loaded as MailJob).attachments[1]?.content).toEqual(
        new Uint8Array(Buffer.from(SECRETS.attachment)),
      )
      await close(queue)

      const bytes = await store.bytes()
      // A message that was stored clear is found: the search itself works.
      expect(bytes.includes('clear@example.com')).toBe(true)
      const leaked = Object.entries(SECRETS).filter(
        ([, text]) =>
          bytes.includes(text) ||
          bytes.includes(encodeURIComponent(text)) ||
          bytes.includes(Buffer.from(text).toString('base64').slice(0, -3)),
      )
      expect(leaked).toEqual([])
    })

    it('wakes the messages that are held for a transport', async () => {
      const { queue, changes } = await opened(await newStore(), [A])
      const held = (['budget', 'paused', 'breaker'] as const).map((reason) => ({ reason, job: secretJob() }))
      await queue.enqueue(held.map(({ job }) => job))
      await queue.start(holding((id) => held.find(({ job }) => job.id === id)!.reason).consumer)
      for (const { job } of held) await changes.until(job.id, 'held')
      expect(await queue.wakeHeld(['default'], 10)).toBe(2)
      for (const { job } of held.slice(0, 2)) await changes.until(job.id, 'sent')
      expect(await queue.find(held[2]!.job.id)).toMatchObject({ status: 'held', heldReason: 'breaker' })
    })

    it('reads what an older key encrypted, and finds its addresses and idempotency keys', async () => {
      const store = await newStore()
      const one = secretJob({ idempotencyKey: SECRETS.key, fingerprint: 'f1', notBefore: Date.now() + DAY })
      const before = await opened(store, [A])
      await before.queue.enqueue([one])
      await close(before.queue)
      const { queue } = await opened(store, [B, A])
      const again = secretJob({ idempotencyKey: SECRETS.key, fingerprint: 'f1' })
      const other = secretJob({ idempotencyKey: SECRETS.key, fingerprint: 'f2' })
      expect(await queue.enqueue([again])).toMatchObject([{ result: 'duplicate', id: one.id }])
      expect(await queue.enqueue([other])).toEqual([{ result: 'conflict' }])
      await queue.enqueue([secretJob({ notBefore: Date.now() + DAY })])
      expect((await queue.list({ recipient: SECRETS.address })).messages).toHaveLength(2)
      await queue.act(one.id, cancelManually)
      expect(await queue.find(one.id)).toMatchObject({ status: 'cancelled', subject: SECRETS.subject })

      await queue.act(one.id, eraseAction(testFor(SECRETS.address)))
      expect(await queue.find(one.id)).toMatchObject({
        status: 'cancelled',
        to: [{ address: ERASED }],
        erased: true,
      })
      expect((await queue.list({ recipient: SECRETS.address })).messages).toHaveLength(1)
      expect(await queue.enqueue([other])).toEqual([{ result: 'queued' }])
    })

    it('keeps a message whose key is missing, and delivers it when the key is back', async () => {
      const store = await newStore()
      const job = secretJob()
      const before = await opened(store, [A])
      await before.queue.enqueue([job])
      await close(before.queue)

      for (const keys of [[B], undefined]) {
        const { queue, changes } = await opened(store, keys)
        expect(await queue.find(job.id)).toMatchObject({ to: [], unreadable: true })
        await expect(queue.load(job.id)).rejects.toMatchObject({ code: 'UNREADABLE' })
        await expect(queue.act(job.id, markSentManually)).rejects.toMatchObject({ code: 'UNREADABLE' })
        let asked = 0
        await queue.start({
          slots: 1,
          cancel: () => false,
          recover: () => undefined,
          deliver: ({ state }) => {
            asked++
            expect(state.sealed).toBeDefined()
            return unreadableSettlement(state, Date.now())
          },
        })
        if (keys !== undefined) await changes.until(job.id, 'deferred')
        expect(asked).toBe(keys === undefined ? 0 : 1)
        expect(await queue.find(job.id)).toMatchObject({ status: 'deferred', unreadable: true })
        await close(queue)
      }

      const { queue, changes } = await opened(store, [B, A])
      const deliveries = new Deliveries(1, ({ job: seen }) => {
        expect(seen.content).toEqual(job.content)
        return outcomeOf('sent')
      })
      await queue.start(deliveries)
      await queue.act(job.id, retryManually)
      await changes.until(job.id, 'sent')
      expect((await queue.find(job.id))?.recipients).toMatchObject([
        { address: SECRETS.address, status: 'sent' },
      ])
    })
  })
}
