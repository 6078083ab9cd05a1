import type * as Pg from 'pg'
import { ThreadpostError } from '../../errors.js'
import type { Statement } from './statements.js'

export interface PostgresConnectionOptions {
  /** `postgres://` or `postgresql://` */
  url: string
  /** Options of pg's Pool; they override those of the URL. */
  postgres: Record<string, unknown>
  /** Whether the sessions are this process's own: no pooler hands them to others between two transactions. */
  listen: boolean
}

/** Milliseconds within which Postgres must accept a connection, and answer a command for a caller. */
const QUICK = 900
/** Milliseconds for a command of a delivery, or one that reads much. */
const PATIENT = 10_000
/** Milliseconds within which Postgres must be reached at the start. */
const START = 5_000
/** Milliseconds that a statement for a caller waits for another transaction's lock. */
const LOCK = 700
/** Milliseconds between two attempts to reconnect the listening connection, at most. */
const MAX_RECONNECT_DELAY = 1_000

/**
 * Settings of each session. The statements look rows up by an index only. Without these, a plan that was made while a table
 * was small would read all of it when it is large. Each statement is planned once, and not for its first values again and again.
 */
const SESSION =
  '-c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_sort=on'

type PgModule = Pick<typeof Pg, 'Pool' | 'Client'>

/** How long a command may take: `quick` for a caller, who learns of an outage within a second; `patient` for everything else. */
export type Patience = 'quick' | 'patient'

/** The connections of one process to Postgres. A connection on which a command failed is closed. */
export class PostgresConnections {
  readonly #pg: PgModule
  readonly #pool: Pg.Pool
  readonly #config: Pg.PoolConfig
  readonly #named: boolean
  readonly #onProblem: (problem: string | undefined) => void
  #failing = false
  #closed = false

  private constructor(
    pg: PgModule,
    { url, postgres, listen }: PostgresConnectionOptions,
    onProblem: (problem: string | undefined) => void,
  ) {
    this.#pg = pg
    this.#named = listen
    this.#onProblem = onProblem
    this.#config = {
      connectionString: url,
      connectionTimeoutMillis: QUICK,
      application_name: 'threadpost',
      keepAlive: true,
      // A pooler refuses settings of a session.
      ...(listen ? { options: SESSION, lock_timeout: LOCK } : {}),
      ...postgres,
    }
    this.#pool = new pg.Pool({ max: 10, ...this.#config })
    this.#pool.on('error', () => undefined)
    // A connection may be lost while it is in use and no command is running: the next command learns of it.
    this.#pool.on('connect', (client) => void client.on('error', () => undefined))
  }

  /**
   * @param onProblem called with a problem once, and with undefined when Postgres is available again
   * @throws ThreadpostError `START_FAILED` if the package is missing, or if Postgres can't be reached or refuses
   */
  static async open(
    options: PostgresConnectionOptions,
    onProblem: (problem: string | undefined) => void,
  ): Promise<PostgresConnections> {
    const connections = new PostgresConnections(await loadPeer(), options, onProblem)
    const deadline = performance.now() + START
    for (;;) {
      try {
        await connections.query('SELECT 1', [], 'patient')
        return connections
      } catch (error) {
        // A wrong password, role or database stays wrong; a server that starts will soon be there.
        const refused = /^(28|3D|42)/.test(codeOf(error))
        if (refused || performance.now() > deadline) {
          await connections.close()
          throw startFailed(error)
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  /** Runs a statement of the queue. */
  run<Row>(statement: Statement, values: readonly unknown[], patience: Patience): Promise<Row[]> {
    return this.#send<Row>(this.#named ? statement : { text: statement.text }, values, patience)
  }

  /** Runs any other statement. */
  query<Row>(text: string, values: readonly unknown[], patience: Patience): Promise<Row[]> {
    return this.#send<Row>({ text }, values, patience)
  }

  /** Runs several statements on one connection, in a transaction. */
  async transaction<T>(work: (query: (text: string) => Promise<unknown[]>) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect()
    let failed: Error | undefined
    try {
      await client.query('BEGIN')
      const result = await work(async (text) => (await client.query<Record<string, unknown>>(text)).rows)
      await client.query('COMMIT')
      return result
    } catch (error) {
      failed = error as Error
      throw error
    } finally {
      client.release(failed ?? false)
    }
  }

  /**
   * Listens on channels, on a connection of its own that is opened again when it is lost.
   * @param ready called whenever it listens: notifications may have been missed before
   * @returns a function that ends it
   */
  listen(
    channels: readonly string[],
    notified: (channel: string, payload: string) => void,
    ready: () => void,
  ): () => void {
    let ended = false
    let client: Pg.Client | undefined
    let timer: NodeJS.Timeout | undefined
    let delay = 25
    const connect = async (): Promise<void> => {
      const next = new this.#pg.Client(this.#config)
      client = next
      const lost = (): void => {
        if (client !== next || ended) return
        client = undefined
        next.end().catch(() => undefined)
        delay = Math.min(2 * delay, MAX_RECONNECT_DELAY)
        timer = setTimeout(() => void connect(), delay)
      }
      next.on('error', lost)
      next.on('end', lost)
      next.on('notification', ({ channel, payload = '' }) => notified(channel, payload))
      try {
        await next.connect()
        for (const channel of channels) await next.query(`LISTEN "${channel}"`)
        delay = 25
        if (!ended) ready()
      } catch {
        lost()
      }
    }
    void connect()
    return () => {
      ended = true
      clearTimeout(timer)
      client?.end().catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#pool.end()
  }

  async #send<Row>(
    statement: { name?: string; text: string },
    values: readonly unknown[],
    patience: Patience,
  ): Promise<Row[]> {
    let client: Pg.PoolClient
    try {
      client = await this.#pool.connect()
    } catch (error) {
      this.#report(error)
      throw new NotSent((error as Error).message, { cause: error })
    }
    let failed: Error | undefined
    try {
      const limit = patience === 'quick' ? QUICK : PATIENT
      const query = { ...statement, values: [...values], query_timeout: limit }
      const { rows } = await client.query<Row & Pg.QueryResultRow>(query)
      if (this.#failing) this.#onProblem(undefined)
      this.#failing = false
      return rows
    } catch (error) {
      failed = error as Error
      if (!wasRefused(error) || codeOf(error) === READ_ONLY) this.#report(error)
      throw error
    } finally {
      client.release(failed ?? false)
    }
  }

  #report(error: unknown): void {
    if (!this.#failing && !this.#closed) this.#onProblem((error as Error).message)
    this.#failing = true
  }
}

/** A command that was not sent, since there is no connection. */
class NotSent extends Error {}

/** A standby: the primary has failed over, and the next connection reaches the new one. */
const READ_ONLY = '25006'

/** The SQLSTATE of an error. */
function codeOf(error: unknown): string {
  const { code } = ((error instanceof NotSent ? error.cause : error) ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/** Whether Postgres answered that the statement failed. */
function wasRefused(error: unknown): boolean {
  return (error as { severity?: unknown }).severity === 'ERROR'
}

/** Whether a command that failed may have been committed. */
export function mayHaveCommitted(error: unknown): boolean {
  return !(error instanceof NotSent || wasRefused(error))
}

/** The message for a caller whose command Postgres did not carry out. */
export function postgresProblem(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return `The queue is unavailable: Postgres does not answer (${text.slice(0, 100)}). Try again later`
}

/** Runs a command for a caller. @throws ThreadpostError `QUEUE_UNAVAILABLE` if Postgres does not answer it */
export async function orPostgresUnavailable<T>(command: () => Promise<T>): Promise<T> {
  try {
    return await command()
  } catch (error) {
    throw new ThreadpostError('QUEUE_UNAVAILABLE', postgresProblem(error), { cause: error })
  }
}

export function startFailed(error: unknown): ThreadpostError {
  return new ThreadpostError(
    'START_FAILED',
    `The queue can't start: Postgres can't be used (${(error as Error).message})`,
    { cause: error },
  )
}

async function loadPeer(): Promise<PgModule> {
  try {
    return (await import('pg')).default
  } catch (error) {
    throw new ThreadpostError(
      'START_FAILED',
      `A queue on Postgres needs a package that you install yourself: npm install pg (${(error as Error).message})`,
      { cause: error },
    )
  }
}
