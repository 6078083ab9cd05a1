import type { Database } from 'better-sqlite3'
import type { OutboxSetup } from '../../src/queue/sqlite/outboxProtocol.js'
import { AttachmentStore } from './attachmentStore.js'
import { Capacity } from './capacity.js'
import { ClaimCounter } from './claimCounter.js'
import { Counters } from './counters.js'
import { Inserter, MessageRepository } from './messageRepository.js'
import { PendingWork } from './pendingWork.js'
import { Pruner } from './pruner.js'
import { ReadyQueue } from './readyQueue.js'
import { RecordTable } from './recordTable.js'
import { Recovery } from './recovery.js'
import type { Reserve } from './reserve.js'
import { SearchIndex } from './searchIndex.js'
import { WriteAheadLog } from './writeAheadLog.js'

/** The objects that work on the file. They share one connection. */
export interface Parts {
  db: Database
  /**
   * `allowed`: whether this process holds the lock for delivering, see src/queue/sqlite/delivererLock.ts. `active`: whether it has
   * also taken over the messages of dead processes, and so claims messages.
   */
  deliverer: { allowed: boolean; active: boolean }
  capacity: Capacity
  log: WriteAheadLog
  counters: Counters
  claimCounter: ClaimCounter
  inserter: Inserter
  messages: MessageRepository
  pendingWork: PendingWork
  readyQueue: ReadyQueue
  searchIndex: SearchIndex
  pruner: Pruner
  recovery: Recovery
  records: RecordTable
}

/** @param fileLimit bytes: see `fileSizeLimit()` */
export function createParts(db: Database, setup: OutboxSetup, reserve: Reserve, fileLimit: number): Parts {
  const attachments = new AttachmentStore(db)
  const counters = new Counters(db)
  const { origin } = db.prepare('SELECT origin FROM tally').get() as { origin: string }
  const claimCounter = new ClaimCounter(setup.file, origin)
  const messages = new MessageRepository(db, counters, attachments)
  const searchIndex = new SearchIndex(db, counters)
  const log = new WriteAheadLog(db, setup.file)
  const capacity = new Capacity(db, setup.file, reserve, log, { maxSize: setup.maxSize, fileLimit })
  const pendingWork = new PendingWork(db)
  const inserter = new Inserter(db, counters, attachments, capacity, setup.limit)
  return {
    db,
    deliverer: { allowed: false, active: false },
    capacity,
    log,
    counters,
    claimCounter,
    messages,
    searchIndex,
    inserter,
    pendingWork,
    readyQueue: new ReadyQueue(db, counters, attachments, inserter.cachedIds, pendingWork, setup.token),
    pruner: new Pruner(db, counters, messages, searchIndex, pendingWork, setup.retain),
    recovery: new Recovery(db, counters, claimCounter, setup),
    records: new RecordTable(db),
  }
}
