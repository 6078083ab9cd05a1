import { ThreadpostError } from '../../errors.js'
import { MIGRATIONS } from './migrations.js'
import { type PostgresConnectionOptions, PostgresConnections, startFailed } from './postgresConnections.js'

/**
 * Brings the schema to the version of this package, or only checks it. Processes that start at once wait for one another. A
 * newer schema is left alone: during an upgrade, old and new processes share it.
 * @param migrate whether missing migrations are applied
 * @returns the titles of the migrations that were applied
 * @throws ThreadpostError `START_FAILED`
 */
export async function prepareSchema(
  connections: PostgresConnections,
  schema: string,
  migrate: boolean,
): Promise<string[]> {
  try {
    const known = await versionOf(connections, schema)
    if (known >= MIGRATIONS.length) return []
    if (!migrate) throw outdated(schema, known)
    return await connections.transaction(async (query) => {
      await query(`SELECT pg_advisory_xact_lock(hashtextextended('threadpost.${schema}', 0))`)
      await query(preamble(schema))
      const [row] = (await query(
        `SELECT coalesce(max(version), 0) AS version FROM "${schema}".migrations`,
      )) as {
        version: number
      }[]
      const applied: string[] = []
      for (const [index, migration] of MIGRATIONS.entries()) {
        if (index < (row?.version ?? 0)) continue
        await query(migration.sql(`"${schema}"`))
        await query(recorded(schema, index))
        applied.push(migration.title)
      }
      return applied
    })
  } catch (error) {
    throw error instanceof ThreadpostError ? error : startFailed(error)
  }
}

/** The work of `threadpost migrate`. @throws ThreadpostError `START_FAILED` */
export async function migratePostgres(
  location: PostgresConnectionOptions & { schema: string },
): Promise<string[]> {
  const connections = await PostgresConnections.open(location, () => undefined)
  try {
    return await prepareSchema(connections, location.schema, true)
  } finally {
    await connections.close()
  }
}

/** All migrations as a script for a person or another tool to run. */
export function migrationScript(schema: string): string {
  const steps = MIGRATIONS.map(
    ({ title, sql }, index) =>
      `-- ${index + 1}: ${title}${sql(`"${schema}"`)}\n${recorded(schema, index)};\n`,
  )
  return `BEGIN;\n${preamble(schema)};\n\n${steps.join('\n')}\nCOMMIT;\n`
}

function preamble(schema: string): string {
  return `CREATE SCHEMA IF NOT EXISTS "${schema}";
CREATE TABLE IF NOT EXISTS "${schema}".migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`
}

function recorded(schema: string, index: number): string {
  return `INSERT INTO "${schema}".migrations (version) VALUES (${index + 1})`
}

async function versionOf(connections: PostgresConnections, schema: string): Promise<number> {
  const [table] = await connections.query<{ present: boolean }>(
    'SELECT to_regclass($1) IS NOT NULL AS present',
    [`"${schema}".migrations`],
    'patient',
  )
  if (table?.present !== true) return 0
  const [row] = await connections.query<{ version: number | null }>(
    `SELECT max(version) AS version FROM "${schema}".migrations`,
    [],
    'patient',
  )
  return row?.version ?? 0
}

function outdated(schema: string, known: number): ThreadpostError {
  return new ThreadpostError(
    'START_FAILED',
    `The queue can't start: schema ${schema} is at version ${known} and this package needs ${MIGRATIONS.length}. ` +
      'Run threadpost migrate --queue URL, or leave migrate on',
  )
}
