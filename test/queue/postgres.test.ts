import { resolveLogger } from '../../src/logging/logger.js'
import type { QueueDriver } from '../../src/queue/driver.js'
import { PostgresQueue } from '../../src/queue/postgres/driver.js'
import { Validator } from '../../src/validation.js'
import { usePostgres } from '../support/postgres.js'
import { queueSuite } from '../support/queueSuite.js'
import { testEncryption } from '../support/queueSuite/encryption.js'
import type { SuiteOptions } from '../support/queueSuite/fixture.js'
import { testGroupsOfFleet } from '../support/queueSuite/groups.js'
import { testSharing } from '../support/queueSuite/sharing.js'
import { describeWith } from '../support/tools.js'

const logger = resolveLogger(new Validator('INVALID_OPTIONS'), undefined)

describeWith(['postgres'], 'a queue on Postgres', ({ postgres: tool }) => {
  const postgres = usePostgres(tool)

  const openAt = (options: SuiteOptions, place: ReturnType<typeof postgres.place>): Promise<QueueDriver> =>
    PostgresQueue.open({ ...options, ...place, migrate: true, listen: true, postgres: {}, logger })

  queueSuite('postgres', (options) => openAt(options, postgres.place()))

  let same: ReturnType<typeof postgres.place> | undefined
  testGroupsOfFleet((options) => openAt(options, (same ??= postgres.place())))

  testSharing(() => {
    const place = postgres.place()
    return (options) => openAt(options, place)
  })

  testEncryption(() => {
    const place = postgres.place()
    return {
      open: (options) => openAt(options, place),
      bytes: async () => {
        const [row] = await postgres.query<{ all: string }>(
          `SELECT schema_to_xml('${place.schema}', true, false, '')::text AS all`,
        )
        return Buffer.from(row!.all)
      },
    }
  })
})
