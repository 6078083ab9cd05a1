import type { QueueTransfer, TransferResult } from '../driver.js'
import type { RowCipher } from '../encryption/rowCipher.js'
import { unpackHead } from '../rowCodec.js'
import { orPostgresUnavailable, type PostgresConnections } from './postgresConnections.js'
import { packTransfer } from './postgresRows.js'
import type { PostgresStore } from './postgresStore.js'
import { type Statement, statementsFor } from './statements.js'

/**
 * Passes messages to another queue and takes them from one. A mail that was submitted in SQL and that no process has checked yet
 * can't be read: it is no message for other queues.
 */
export function postgresTransfer(
  store: PostgresStore,
  connections: PostgresConnections,
  schema: string,
  keepKey: number,
  cipher: RowCipher | undefined,
): QueueTransfer {
  const statements = statementsFor(schema)
  const run = <Row>(statement: Statement, rows: readonly object[]): Promise<Row[]> =>
    orPostgresUnavailable(() => connections.run<Row>(statement, [JSON.stringify(rows)], 'patient'))
  return {
    list: async (before, limit) =>
      (await orPostgresUnavailable(() => store.list(before, limit, undefined))).rows,
    read: (ids) =>
      orPostgresUnavailable(async () => {
        const { rows } = await store.find(ids)
        const loaded = await Promise.all(ids.map((id) => store.load(id)))
        return rows.map((row, index) => {
          const whole = loaded[index]
          const unchecked = row !== undefined && unpackHead(row).messageId === ''
          return row && whole && !unchecked
            ? { ...row, content: whole.content, attachments: whole.attachments }
            : undefined
        })
      }),
    insert: async (rows) => {
      const input = rows.map((row, nth) => ({ nth, ...packTransfer(row, keepKey, cipher) }))
      const results = await run<{ result: TransferResult }>(statements.transfer, input)
      return results.map(({ result }) => result)
    },
    remove: async (rows) => {
      const input = rows.map(({ seq, rev }) => ({ seq, rev }))
      const removed = new Set((await run<{ seq: number }>(statements.discard, input)).map(({ seq }) => seq))
      return rows.map(({ seq }) => removed.has(seq))
    },
  }
}
