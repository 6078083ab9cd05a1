import type { QueueTransfer } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { packWhole } from '../rowCodec.js'
import type { WholeRow } from '../storedRow.js'
import type { OutboxClient } from './outboxClient.js'
import { toRowQuery, type TransferRow } from './outboxProtocol.js'

/** Passes messages to another queue and takes them from one. */
export function outboxTransfer(
  client: OutboxClient,
  keepKey: number,
  cipher: RowCipher | undefined,
): QueueTransfer {
  const open = <R extends { head: string }>(row: R): R => cipher?.open(row) ?? row
  return {
    list: async (before, limit) => {
      // A page ends early when its time is up, even without a row.
      for (let at: number | null = before; at !== null;) {
        const query = toRowQuery({}, undefined, limit, at, cipher)
        const { rows, cursor } = await client.request('list', { query })
        if (rows.length > 0) return rows.map(open)
        at = cursor
      }
      return []
    },
    read: async (ids) => {
      const rows = await Promise.all(ids.map((id) => readWhole(client, id)))
      return rows.map((row) => row && open(row))
    },
    insert: (rows) =>
      client.request('transfer', { rows: rows.map((row) => toTransferRow(row, keepKey, cipher)) }),
    remove: (rows) => client.request('discard', { rows: rows.map(({ seq, rev }) => ({ seq, rev })) }),
  }
}

async function readWhole(client: OutboxClient, id: string): Promise<WholeRow | undefined> {
  const [row, loaded] = await Promise.all([client.request('find', { id }), client.request('load', { id })])
  return row && loaded ? { ...row, content: loaded.content, attachments: loaded.attachments } : undefined
}

function toTransferRow(whole: WholeRow, keepKey: number, cipher: RowCipher | undefined): TransferRow {
  const { status, dueAt, expiresAt, nextAttemptAt, settledAt, losses, content } = whole
  const { rest, ...row } = packWhole(whole, keepKey, cipher)
  return {
    row,
    state: { status, dueAt, expiresAt, nextAttemptAt, settledAt, rest },
    losses,
    dropped: content === null,
  }
}
