import type { Database } from 'better-sqlite3'
import type { OutboxSetup } from '../../src/queue/sqlite/outboxWire.js'
import { Attachments } from './attachments.js'
import { Forgetting } from './forgetting.js'
import { Intake } from './intake.js'
import { Line } from './line.js'
import { Listing } from './listing.js'
import { Records } from './records.js'
import { Recovery } from './recovery.js'
import type { Reserve } from './reserve.js'
import { Room } from './room.js'
import { SearchIndex } from './searchIndex.js'
import { Tally } from './tally.js'

/** What works on the file; all of it shares one connection. */
export interface Parts {
  db: Database
  /**
   * Whether this process may deliver from the file, see src/queue/sqlite/delivererLock, and whether it does: whether it
   * has taken over what a dead process left.
   */
  lock: { mayDeliver: boolean; held: boolean }
  room: Room
  tally: Tally
  intake: Intake
  records: Records
  line: Line
  index: SearchIndex
  listing: Listing
  forgetting: Forgetting
  recovery: Recovery
}

export function partsOf(db: Database, setup: OutboxSetup, reserve: Reserve): Parts {
  const attachments = new Attachments(db)
  const tally = new Tally(db)
  const records = new Records(db, tally, attachments)
  const index = new SearchIndex(db, tally)
  const room = new Room(db, setup.file, reserve, setup.maxSize)
  const intake = new Intake(db, tally, attachments, room, setup.limit)
  return {
    db,
    lock: { mayDeliver: false, held: false },
    room,
    tally,
    records,
    index,
    intake,
    line: new Line(db, tally, attachments, intake.known, setup.token),
    listing: new Listing(db, tally),
    forgetting: new Forgetting(db, tally, records, index, setup.retain),
    recovery: new Recovery(db, setup.file, setup.token),
  }
}
