import { waitsForTransport } from '../../message/messageState.js'
import type { QueueTransfer } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { packFiles, packWhole, statusOf, unpackHead, unpackState } from '../rowCodec.js'
import type { WholeRow } from '../storedRow.js'
import type { JobAdder } from './jobAdder.js'
import { orUnavailable } from './redisConnections.js'
import { heldIndex } from './redisRows.js'
import type { RedisStore } from './redisStore.js'
import type { ScriptRecord } from './scripts.js'

/** Passes messages to another queue and takes them from one. A message that will be due gets its BullMQ job. */
export function redisTransfer(
  store: RedisStore,
  scheduler: JobAdder,
  keepKey: number,
  cipher: RowCipher | undefined,
): QueueTransfer {
  return {
    list: async (before, limit) => (await orUnavailable(() => store.list(before, limit, undefined))).rows,
    read: (ids) =>
      orUnavailable(async () => {
        const { rows } = await store.find(ids)
        const loaded = await Promise.all(ids.map((id) => store.load(id)))
        return rows.map((row, index) => {
          const whole = loaded[index]
          return row && whole && { ...row, content: whole.content, attachments: whole.attachments }
        })
      }),
    insert: async (rows) => {
      const records = rows.map((row) => packTransfer(row, keepKey, cipher))
      const results = await orUnavailable(() => store.transfer(records))
      const stored = rows.filter((_, index) => results[index] === 'stored' && records[index]?.job === 1)
      scheduler.add(stored.map((row) => ({ ...unpackHead(row), notBefore: row.dueAt })))
      return results
    },
    remove: async (rows) => {
      const records = rows.map((row) => ({ id: unpackHead(row).id, rev: row.rev }))
      const wakeUps = await orUnavailable(() => store.discard(records))
      for (const wake of wakeUps) if (wake !== '') scheduler.remove(wake)
      return wakeUps.map((wake) => wake !== '')
    },
  }
}

function packTransfer(
  whole: WholeRow,
  keepKey: number,
  cipher: RowCipher | undefined,
): ScriptRecord<'transfer'> {
  const packed = packWhole(whole, keepKey, cipher)
  const { id, messageId, fingerprint, key, keyUntil, head, rest, attachments, group } = packed
  const job = unpackHead(whole)
  const { dueAt, expiresAt, nextAttemptAt, settledAt, losses } = whole
  const status = statusOf(whole)
  return {
    id,
    mid: messageId,
    print: fingerprint ?? '',
    key: key ?? '',
    ttl: Math.max(1, Math.ceil(keyUntil - Date.now())),
    head,
    content: whole.content === null ? '' : packed.content,
    files: whole.content === null ? '' : packFiles(attachments),
    status,
    rest: rest ?? '',
    due: dueAt,
    exp: expiresAt,
    next: nextAttemptAt ?? '',
    settled: settledAt ?? '',
    losses,
    job: status === 'queued' || nextAttemptAt !== null ? 1 : 0,
    lane: `${job.priority}:${group}`,
    budget: waitsForTransport(unpackState(whole, job)) ? heldIndex(job.transport, job.priority) : '',
  }
}
