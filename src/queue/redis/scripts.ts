import { BEGIN, WAKE, WRITE } from './scripts/claim.js'
import { ACCEPT, REVOKE } from './scripts/enqueue.js'
import { RESERVE, SWEEP } from './scripts/maintain.js'
import { LOOK, PAGE, STATS } from './scripts/query.js'

/**
 * What happens in Redis at once, as Lua. All keys begin with one prefix:
 *
 * - `m:ID`, a hash: one message; `rev` grows with each change, `op` names the last one, so that a command that was
 *   sent twice is known again
 * - `s:STATUS`: ids by place in the order of acceptance, which `seq` counts
 * - `due`: ids of what waits to be delivered, by the time from which it does
 * - `settled`, `expires`: ids by time of settlement, and by expiry of what waits
 * - `adding`: ids of messages that may have no job in BullMQ yet, by the time of that
 * - `k:KEY`: whose idempotency key it is, for as long as it is remembered
 * - `rate:TRANSPORT`: when the last message of a transport with a rate may go
 * - `held:PRIORITY:TRANSPORT`: ids of what is held for the transport's budget, by the time at which it is due
 * - `w:OWNER`: there while the delivering process is alive
 *
 * `done` is the channel on which settlements are told. BullMQ's own keys are `mail:…`; of them only `mail:meta` is read
 * here, whether the queue is paused.
 */
export const SCRIPTS = {
  accept: ACCEPT,
  revoke: REVOKE,
  begin: BEGIN,
  write: WRITE,
  wake: WAKE,
  sweep: SWEEP,
  look: LOOK,
  page: PAGE,
  stats: STATS,
  reserve: RESERVE,
} as const

export type ScriptName = keyof typeof SCRIPTS
