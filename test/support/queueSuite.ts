/**
 * The contract of a queue as tests, one file per topic in `queueSuite/`. A driver is complete when it passes.
 */
import { describe } from 'vitest'
import { testAcceptance } from './queueSuite/acceptance.js'
import { testClose } from './queueSuite/close.js'
import { testDelivery } from './queueSuite/delivery.js'
import { testErasure } from './queueSuite/erasure.js'
import { type OpenQueue, useFixture } from './queueSuite/fixture.js'
import { testGroups } from './queueSuite/groups.js'
import { testHeldMessages } from './queueSuite/heldMessages.js'
import { testManualActions } from './queueSuite/manualActions.js'
import { testQueries } from './queueSuite/queries.js'
import { testRecords } from './queueSuite/records.js'
import { testReports } from './queueSuite/reports.js'
import { testRetention } from './queueSuite/retention.js'
import { testSchedules } from './queueSuite/schedules.js'

export function queueSuite(name: string, openQueue: OpenQueue): void {
  describe(`queue: ${name}`, () => {
    const fixture = useFixture(openQueue)
    testDelivery(fixture)
    testGroups(fixture)
    testHeldMessages(fixture)
    testAcceptance(fixture)
    testManualActions(fixture)
    testErasure(fixture)
    testQueries(fixture)
    testRecords(fixture)
    testSchedules(fixture)
    testReports(fixture)
    testRetention(fixture)
    testClose(fixture)
  })
}
