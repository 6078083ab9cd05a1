import type { Database } from 'better-sqlite3'
import type { OutboxSetup } from '../../src/queue/sqlite/outboxProtocol.js'
import { AttachmentStore } from './attachmentStore.js'
import { Capacity } from './capacity.js'
import { Counters } from './counters.js'
import { Inserter } from './inserter.js'
import { MessageRepository } from './messageRepository.js'
import { PageReader } from './pageReader.js'
import { Pruner } from './pruner.js'
import { ReadyQueue } from './readyQueue.js'
import { Recovery } from './recovery.js'
import type { Reserve } from './reserve.js'
import { SearchIndex } from './searchIndex.js'

/** What works on the file; all of it shares one connection. */
export interface Parts {
  db: Database
  /**
   * Whether this process may deliver from the file, see src/queue/sqlite/delivererLock, and whether it does: whether it
   * has taken over what a dead process left.
   */
  lock: { mayDeliver: boolean; held: boolean }
  room: Capacity
  tally: Counters
  intake: Inserter
  records: MessageRepository
  line: ReadyQueue
  index: SearchIndex
  listing: PageReader
  forgetting: Pruner
  recovery: Recovery
}

export function partsOf(db: Database, setup: OutboxSetup, reserve: Reserve): Parts {
  const attachments = new AttachmentStore(db)
  const tally = new Counters(db)
  const records = new MessageRepository(db, tally, attachments)
  const index = new SearchIndex(db, tally)
  const room = new Capacity(db, setup.file, reserve, setup.maxSize)
  const intake = new Inserter(db, tally, attachments, room, setup.limit)
  return {
    db,
    lock: { mayDeliver: false, held: false },
    room,
    tally,
    records,
    index,
    intake,
    line: new ReadyQueue(db, tally, attachments, intake.known, setup.token),
    listing: new PageReader(db, tally),
    forgetting: new Pruner(db, tally, records, index, setup.retain),
    recovery: new Recovery(db, setup.file, setup.token),
  }
}
