/**
 * The contract of a queue, as tests; its rooms lie in `queueSuite/`. A driver is done when it passes; what it can't do
 * is declared in its capabilities, and in the table of src/queue/README.md.
 */
import { describe } from 'vitest'
import { whatIsAccepted } from './queueSuite/acceptance.js'
import { whatIsDoneByHand } from './queueSuite/byHand.js'
import { howItCloses } from './queueSuite/close.js'
import { whatIsDelivered } from './queueSuite/delivery.js'
import { type OpenQueue, type QueueCapabilities, useDesk } from './queueSuite/desk.js'
import { whatIsKept } from './queueSuite/keeping.js'
import { whatIsSeen } from './queueSuite/looking.js'
import { whatIsWoken } from './queueSuite/waking.js'

export function queueSuite(
  name: string,
  openQueue: OpenQueue,
  capabilities: QueueCapabilities = { search: true },
): void {
  describe(`queue: ${name}`, () => {
    const desk = useDesk(openQueue)
    whatIsDelivered(desk)
    whatIsWoken(desk)
    whatIsAccepted(desk)
    whatIsDoneByHand(desk)
    whatIsSeen(desk, capabilities)
    whatIsKept(desk)
    howItCloses(desk)
  })
}
