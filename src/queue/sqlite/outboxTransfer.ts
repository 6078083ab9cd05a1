import type { QueueTransfer } from '../driver.js'
import { packWhole } from '../rowCodec.js'
import type { WholeRow } from '../storedRow.js'
import type { OutboxClient } from './outboxClient.js'
import { toRowQuery, type TransferRow } from './outboxProtocol.js'

/** Passes messages to another queue and takes them from one. */
export function outboxTransfer(client: OutboxClient, keepKey: number): QueueTransfer {
  return {
    list: async (before, limit) =>
      (await client.request('list', { query: toRowQuery({}, undefined, limit, before) })).rows,
    read: (ids) => Promise.all(ids.map((id) => readWhole(client, id))),
    insert: (rows) => client.request('transfer', { rows: rows.map((row) => toTransferRow(row, keepKey)) }),
    remove: (rows) => client.request('discard', { rows: rows.map(({ seq, rev }) => ({ seq, rev })) }),
  }
}

async function readWhole(client: OutboxClient, id: string): Promise<WholeRow | undefined> {
  const [row, loaded] = await Promise.all([client.request('find', { id }), client.request('load', { id })])
  return row && loaded ? { ...row, content: loaded.content, attachments: loaded.attachments } : undefined
}

function toTransferRow(whole: WholeRow, keepKey: number): TransferRow {
  const { status, dueAt, expiresAt, nextAttemptAt, settledAt, rest, losses, content } = whole
  return {
    row: packWhole(whole, keepKey),
    state: { status, dueAt, expiresAt, nextAttemptAt, settledAt, rest },
    losses,
    dropped: content === null,
  }
}
