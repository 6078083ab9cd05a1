import { MemoryQueue } from '../../src/queue/memory.js'
import { queueSuite } from '../support/queueSuite.js'

queueSuite('memory', (options) => Promise.resolve(new MemoryQueue(options)))
