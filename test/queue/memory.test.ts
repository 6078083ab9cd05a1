import { MemoryQueue } from '../../src/queue/memory/driver.js'
import { queueSuite } from '../support/queueSuite.js'

queueSuite('memory', (options) => Promise.resolve(new MemoryQueue(options)))
