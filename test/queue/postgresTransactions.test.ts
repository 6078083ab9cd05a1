import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import knex from 'knex'
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import postgresJs from 'postgres'
import { QueryTypes, Sequelize } from 'sequelize'
import { createMailer, type Transaction } from 'threadpost'
import { expect, it, onTestFinished } from 'vitest'
import { mailerWithInbox, subjectsOf, testMailer, testSender } from '../support/mailer.js'
import { startPgbouncer } from '../support/pgbouncer.js'
import { type SharedPostgres, usePostgres } from '../support/postgres.js'
import { describeWith } from '../support/tools.js'

/** 2,000 at full length. */
const TRANSACTIONS = Number(process.env['TRANSACTIONS'] ?? 200)
const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

/** Runs work in a transaction that is rolled back if the work throws. */
type InTransaction = (work: (tx: Transaction) => Promise<void>) => Promise<void>

/** How a transaction of each library becomes a `tx`; src/queue/README.md shows the same lines. */
const LIBRARIES: Record<
  string,
  (url: string) => { inTransaction: InTransaction; end: () => Promise<unknown> }
> = {
  pg: (url) => {
    const pool = new pg.Pool({ connectionString: url })
    return {
      end: () => pool.end(),
      inTransaction: transactionsOn(pool),
    }
  },
  // Without the libraries themselves: an object whose method takes and returns the same.
  'the shape of TypeORM': (url) => {
    const { inTransaction } = clientOf({ url })
    return {
      end: () => Promise.resolve(),
      inTransaction: (work) =>
        inTransaction(async (client) => {
          const manager = { query: async (text: string, values: unknown[]) => rowsOf(client, text, values) }
          await work({ query: (text, values) => manager.query(text, values) })
        }),
    }
  },
  'the shape of Prisma': (url) => {
    const { inTransaction } = clientOf({ url })
    return {
      end: () => Promise.resolve(),
      inTransaction: (work) =>
        inTransaction(async (client) => {
          const trx = {
            $queryRawUnsafe: async (text: string, ...values: unknown[]) => rowsOf(client, text, values),
          }
          await work({ query: (text, values) => trx.$queryRawUnsafe(text, ...values) })
        }),
    }
  },
  Drizzle: (url) => {
    const pool = new pg.Pool({ connectionString: url })
    const db = drizzle(pool)
    return {
      end: () => pool.end(),
      inTransaction: (work) =>
        db.transaction(async (transaction) => {
          await work({
            query: (text, [value]) => {
              const [before = '', after = ''] = text.split('$1')
              return transaction.execute(
                drizzleSql`${drizzleSql.raw(before)}${value}${drizzleSql.raw(after)}`,
              )
            },
          })
        }),
    }
  },
  Kysely: (url) => {
    const db = new Kysely<object>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
    })
    return {
      end: () => db.destroy(),
      inTransaction: (work) =>
        db.transaction().execute(async (transaction) => {
          await work({ query: (text, values) => transaction.executeQuery(CompiledQuery.raw(text, values)) })
        }),
    }
  },
  Knex: (url) => {
    const db = knex({ client: 'pg', connection: url })
    return {
      end: () => db.destroy(),
      inTransaction: (work) =>
        db.transaction(async (transaction) => {
          await work({
            query: (text, values) => transaction.raw(text.replace('$1', '?'), values as string[]),
          })
        }),
    }
  },
  'postgres.js': (url) => {
    const sql = postgresJs(url)
    return {
      end: () => sql.end(),
      inTransaction: (work) =>
        sql.begin(async (transaction) => {
          await work({ query: (text, values) => transaction.unsafe(text, values as string[]) })
        }),
    }
  },
  Sequelize: (url) => {
    const db = new Sequelize(url, { logging: false })
    return {
      end: () => db.close(),
      inTransaction: (work) =>
        db.transaction(async (transaction) => {
          await work({
            query: (text, bind) => db.query(text, { bind, transaction, type: QueryTypes.SELECT }),
          })
        }),
    }
  },
}

async function rowsOf(client: Transaction, text: string, values: unknown[]): Promise<unknown[]> {
  return ((await client.query(text, values)) as pg.QueryResult).rows
}

function clientOf({ url }: Pick<SharedPostgres, 'url'>): { pool: pg.Pool; inTransaction: InTransaction } {
  const pool = new pg.Pool({ connectionString: url, max: 8 })
  onTestFinished(() => pool.end())
  return { pool, inTransaction: transactionsOn(pool) }
}

function transactionsOn(pool: pg.Pool): InTransaction {
  return async (work) => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      await work(client)
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  }
}

describeWith(['postgres'], 'mail in a transaction of the application', ({ postgres: tool }) => {
  const postgres = usePostgres(tool)

  it.each(Object.entries(LIBRARIES))(
    'goes out when the transaction commits, and not when it is rolled back: %s',
    async (_, open) => {
      const { mailer, inbox } = await mailerWithInbox({ queue: postgres.place() })
      const { inTransaction, end } = open(postgres.url)
      onTestFinished(() => void end())
      const ids: string[] = []
      await inTransaction(async (tx) => {
        const { id, durable, duplicate } = await mailer.send(
          { ...MAIL, idempotencyKey: 'order $1 ?' },
          { tx },
        )
        expect({ durable, duplicate }).toEqual({ durable: true, duplicate: false })
        ids.push(id)
        expect(await mailer.find(id)).toBeUndefined()
      })
      expect((await mailer.wait(ids[0] ?? '')).status).toBe('sent')
      const failed = inTransaction(async (tx) => {
        const [again, other] = await mailer.sendMany(
          [
            { ...MAIL, idempotencyKey: 'order $1 ?' },
            { ...MAIL, subject: 'Other', idempotencyKey: 'order $1 ?' },
          ],
          { tx },
        )
        expect(again).toMatchObject({ id: ids[0], duplicate: true })
        expect(other).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
        const { id } = await mailer.send({ ...MAIL, subject: 'Never' }, { tx })
        ids.push(id)
        throw new Error('no stock')
      })
      await expect(failed).rejects.toThrow('no stock')
      await mailer.sendAndWait({ ...MAIL, subject: 'Last' })
      expect(subjectsOf(inbox)).toEqual(['Hello', 'Last'])
      expect(await mailer.find(ids[1] ?? '')).toBeUndefined()
    },
  )

  it('goes out for exactly the transactions that commit, whatever eight clients do at once', async () => {
    const count = TRANSACTIONS
    const { mailer, inbox } = await mailerWithInbox({ queue: postgres.place() }, { keep: count })
    const { inTransaction } = clientOf(postgres)
    const committed: string[] = []
    let next = 0
    const client = async (): Promise<void> => {
      for (let order = next++; order < count; order = next++) {
        const subject = `Order ${order}`
        await inTransaction(async (tx) => {
          await mailer.send({ ...MAIL, subject, idempotencyKey: subject }, { tx })
          if (order % 2 === 1) throw new Error('no stock')
        }).then(
          () => committed.push(subject),
          () => undefined,
        )
      }
    }
    await Promise.all(Array.from({ length: 8 }, client))
    expect(committed).toHaveLength(count / 2)
    await expect.poll(() => inbox.count).toBe(count / 2)
    expect(subjectsOf(inbox).toSorted()).toEqual(committed.toSorted())
    await expect.poll(() => mailer.stats()).toMatchObject({ accepted: count / 2, sent: count / 2 })
  }, 600_000)

  it('with a key that another transaction has inserted waits for that transaction', async () => {
    const mailer = await testSender({ queue: postgres.place() })
    const { inTransaction } = clientOf(postgres)
    const mail = { ...MAIL, idempotencyKey: 'order 1' }
    let second: Promise<unknown> | undefined
    await inTransaction(async (tx) => {
      await mailer.send(mail, { tx })
      second = inTransaction(async (other) => {
        expect(await mailer.send(mail, { tx: other })).toMatchObject({ duplicate: true })
      })
      await expect
        .poll(async () => (await postgres.query('SELECT FROM pg_locks WHERE NOT granted')).length)
        .toBeGreaterThan(0)
    })
    await second
    expect((await mailer.stats()).accepted).toBe(1)
  })

  it('is waited for, and the timeout says that the message is not committed', async () => {
    const mailer = await testMailer({ queue: postgres.place(), transport: 'inbox:' })
    const { inTransaction } = clientOf(postgres)
    let waited: Promise<unknown> | undefined
    await inTransaction(async (tx) => {
      const { id } = await mailer.send(MAIL, { tx })
      await expect(mailer.wait(id, { timeout: 50 })).rejects.toMatchObject({
        code: 'WAIT_TIMEOUT',
        id,
        message: expect.stringContaining('not committed') as string,
      })
      waited = mailer.wait(id)
    })
    expect(await waited).toMatchObject({ status: 'sent' })
  })

  it('is checked as usual, and a refused mail leaves the transaction as it was', async () => {
    const mailer = await testSender({ queue: postgres.place() })
    const { inTransaction } = clientOf(postgres)
    await inTransaction(async (tx) => {
      await expect(mailer.send({ ...MAIL, to: 'nobody' }, { tx })).rejects.toMatchObject({
        code: 'INVALID_MESSAGE',
        path: 'to',
      })
      await mailer.send(MAIL, { tx })
    })
    expect((await mailer.stats()).accepted).toBe(1)
  })

  it('fails with the error of the transaction', async () => {
    const mailer = await testSender({ queue: postgres.place() })
    const { inTransaction } = clientOf(postgres)
    const failed = inTransaction(async (tx) => {
      await Promise.resolve(tx.query('SELECT 1/0', [])).catch(() => undefined)
      await mailer.send(MAIL, { tx })
    })
    await expect(failed).rejects.toMatchObject({ code: '25P02' })
  })

  it('is refused by another queue, and without a client that returns rows', async () => {
    const memory = await createMailer({ transport: 'inbox:' })
    onTestFinished(() => memory.close())
    const tx = { query: () => Promise.resolve(1) }
    await expect(memory.send(MAIL, { tx })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('postgres://') as string,
    })
    const mailer = await testSender({ queue: postgres.place() })
    await expect(mailer.send(MAIL, { tx })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'tx.query',
    })
    await expect(mailer.send(MAIL, { tx: {} as Transaction })).rejects.toMatchObject({ path: 'tx' })
    await expect(mailer.send(MAIL, { transaction: tx } as object)).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
    })
  })
})

describeWith(['postgres', 'pgbouncer'], 'a queue behind PgBouncer in transaction mode', (tools) => {
  const postgres = usePostgres(tools.postgres)

  it('delivers, waits, and takes mail in transactions, with fewer sessions than clients', async () => {
    const url = await startPgbouncer(tools.pgbouncer, postgres.port)
    const queue = { ...postgres.place(), url, listen: false }
    const { inbox } = await mailerWithInbox({ role: 'deliver', queue }, { keep: 200 })
    const mailer = await testSender({ queue })
    const pooled = clientOf({ url })
    const sent = Promise.allSettled(
      Array.from({ length: 40 }, (_, n) =>
        pooled.inTransaction(async (tx) => {
          await mailer.send({ to: 'ada@example.com', subject: `In ${n}`, text: 'Hello' }, { tx })
          if (n % 2 === 1) throw new Error('out of stock')
        }),
      ),
    )
    const receipts = await mailer.sendMany(
      Array.from({ length: 60 }, (_, n) => ({ to: 'ada@example.com', subject: `Out ${n}`, text: 'Hello' })),
    )
    expect((await sent).filter(({ status }) => status === 'rejected')).toHaveLength(20)
    const messages = await Promise.all(receipts.map((receipt) => mailer.wait((receipt as { id: string }).id)))
    expect(messages.map(({ status }) => status)).toEqual(receipts.map(() => 'sent'))
    await expect.poll(async () => (await mailer.stats()).sent).toBe(80)
    expect(inbox.count).toBe(80)
    const committed = Array.from({ length: 20 }, (_, n) => `In ${2 * n}`)
    expect(
      subjectsOf(inbox)
        .filter((subject) => subject.startsWith('In'))
        .sort(),
    ).toEqual(committed.sort())
  }, 120_000)
})
