import { ThreadpostError } from '../errors.js'
import { Validator } from '../validation.js'
import { resolveQueue } from './openQueue.js'

/**
 * Brings the tables of a queue on Postgres to the version of this package.
 * @param print whether to return the script instead of running it
 * @returns the titles of the migrations that were applied, or the script
 * @throws ThreadpostError `INVALID_OPTIONS` for another queue; `START_FAILED`
 */
export async function migrateQueue(queue: unknown, print: boolean): Promise<string[]> {
  const spec = resolveQueue(new Validator('INVALID_OPTIONS'), queue)
  if (spec.kind !== 'postgres')
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'queue: only a queue on Postgres has tables to migrate: postgres://HOST:PORT/DATABASE',
      {
        path: 'queue',
      },
    )
  const { migratePostgres, migrationScript } = await import('./postgres/migrate.js')
  return print ? [migrationScript(spec.schema)] : migratePostgres(spec)
}
