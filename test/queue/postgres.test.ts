import { resolveLogger } from '../../src/logging/logger.js'
import { PostgresQueue } from '../../src/queue/postgres/driver.js'
import { Validator } from '../../src/validation.js'
import { usePostgres } from '../support/postgres.js'
import { queueSuite } from '../support/queueSuite.js'
import { testEncryption } from '../support/queueSuite/encryption.js'
import { describeWith } from '../support/tools.js'

const logger = resolveLogger(new Validator('INVALID_OPTIONS'), undefined)

describeWith(['postgres'], 'a queue on Postgres', ({ postgres: tool }) => {
  const postgres = usePostgres(tool)

  queueSuite('postgres', (options) =>
    PostgresQueue.open({
      ...options,
      ...postgres.place(),
      migrate: true,
      listen: true,
      postgres: {},
      logger,
    }),
  )

  testEncryption(() => {
    const place = postgres.place()
    return {
      open: (options) =>
        PostgresQueue.open({ ...options, ...place, migrate: true, listen: true, postgres: {}, logger }),
      bytes: async () => {
        const [row] = await postgres.query<{ all: string }>(
          `SELECT schema_to_xml('${place.schema}', true, false, '')::text AS all`,
        )
        return Buffer.from(row!.all)
      },
    }
  })
})
