import { readFile } from 'node:fs/promises'
import { isSettled, STATUSES } from '../../message/messageState.js'
import { packagedFile } from '../../protocol/threadFile.js'

/** Fields of a message's hash that scripts reply with, in this order. */
export const ROW_FIELDS = [
  'seq',
  'rev',
  'losses',
  'status',
  'due',
  'exp',
  'next',
  'settled',
  'rest',
  'head',
  'wake',
] as const

/** Fields of a row that `claim` replies with. */
export const CLAIM_ROW_FIELDS = [...ROW_FIELDS, 'content', 'files', 'owner', 'op', 'lane'] as const

/** Fields that several scripts have in their records. */
const IDENTITY = ['id', 'mid', 'print', 'key'] as const
const CONTENT = ['head', 'content', 'files'] as const
const STATE = ['status', 'rest'] as const
const TIMES = ['due', 'exp', 'next'] as const

/**
 * The Lua scripts, which Redis runs atomically: `scripts/NAME.lua`. With each: the fields of the rows that it replies with, and
 * of the records among its arguments. The scripts are given these names, so each list is written once.
 *
 * All keys begin with one prefix:
 *
 * | key | type | content |
 * |---|---|---|
 * | `m:ID` | hash | a message; `rev` grows with each change, and `op` names the last command that changed it, so that a command that was sent twice is recognized; `by` names the commands that accepted it |
 * | `seq` | string | number of messages ever accepted |
 * | `s:STATUS` | sorted set | ids by the message's number in the order of acceptance |
 * | `due` | sorted set | ids of messages that wait for delivery, by the time from which they are due |
 * | `ready:PRIORITY:GROUP` | sorted set | ids of a group's messages that were due when they were accepted, or when they were woken up, by number; some may be gone |
 * | `turns:PRIORITY` | sorted set | groups of the lanes `ready`, in the order of their turns |
 * | `wakes` | hash | names of wake-ups that another message has than the one whose id they are, with its id; the message has the name in `wake` |
 * | `settled` | sorted set | ids by time of settlement |
 * | `expires` | sorted set | ids of messages that are not settled, by the time at which they expire |
 * | `adding` | sorted set | wake-ups that may have no BullMQ job yet, by the time since when, on Redis's clock |
 * | `revoked:OP` | string | exists for a while after the command OP was revoked, in case it comes after its revocation |
 * | `k:KEY` | string | id, Message-ID and fingerprint of the message with an idempotency key, for as long as the key is remembered |
 * | `permits:TRANSPORT` | sorted set | permits in use of a transport with a rate, by the time at which they are free |
 * | `held:PRIORITY:TRANSPORT` | sorted set | ids of messages that are held for the transport's budget, by the time at which they are due |
 * | `r:KEY` | hash | a record (see src/queue/records.ts): `n:NAME` its numbers, `document`, and `at`, the time of its last change |
 * | `records` | sorted set | keys of the records, in their order |
 * | `kept` | sorted set | keys of the records by the time until which they are kept |
 * | `w:OWNER` | string | exists while the delivering process is alive |
 *
 * Settlements are published on the channel `done`, and workers that hold more messages than they have slots on `waiting`. BullMQ's keys are `mail:…`; the scripts read only `mail:meta`, which says
 * whether the queue is paused.
 */
const SCRIPTS = {
  enqueue: {
    row: [],
    record: [...IDENTITY, 'others', 'ttl', ...CONTENT, ...TIMES, 'lane'],
  },
  revoke: { row: [], record: [] },
  claim: { row: CLAIM_ROW_FIELDS, record: ['wake', 'op'] },
  update: {
    row: [],
    record: [
      'id',
      'rev',
      'op',
      ...STATE,
      ...TIMES,
      'settled',
      'drop',
      'losses',
      'job',
      'budget',
      'head',
      'forget',
    ],
  },
  findReady: { row: [], record: [] },
  wakeHeld: { row: ROW_FIELDS, record: [] },
  maintain: { row: ROW_FIELDS, record: [] },
  find: { row: ROW_FIELDS, record: [] },
  list: { row: ROW_FIELDS, record: [] },
  stats: { row: [], record: [] },
  takePermits: { row: [], record: [] },
  writeRecords: { row: [], record: ['key', 'keep', 'add', 'raise', 'document', 'remove'] },
  readRecords: { row: [], record: [] },
  transfer: {
    row: [],
    record: [
      ...IDENTITY,
      'ttl',
      ...CONTENT,
      ...STATE,
      ...TIMES,
      'settled',
      'losses',
      'job',
      'budget',
      'lane',
    ],
  },
  discard: { row: [], record: ['id', 'rev'] },
} as const satisfies Record<string, { row: readonly string[]; record: readonly string[] }>

export type ScriptName = keyof typeof SCRIPTS

/** A record among a script's arguments. */
export type ScriptRecord<N extends ScriptName> = Record<
  (typeof SCRIPTS)[N]['record'][number],
  string | number
>

const NAMES = Object.keys(SCRIPTS) as ScriptName[]

/** Scripts that are refused when the memory of Redis is full. All others must run then, too: they deliver what is queued. */
const REFUSED_AT_MAX_MEMORY: ReadonlySet<ScriptName> = new Set(['enqueue', 'transfer'])

/**
 * The first line of a script that runs even when Redis has reached `maxmemory`: Redis never stops a script that has written,
 * and removing a key is always allowed. The flag `allow-oom` says the same, but Redis 6.2 and its descendants don't know it.
 */
export const AT_MAX_MEMORY = "redis.call('DEL', KEYS[1] .. ':none')\n"
const OPEN_STATUSES = STATUSES.filter((status) => !isSettled(status)).join(' ')

/** ARGV[1..3], which all scripts have in common: see `scripts/common.lua`. */
const COMMON_ARGUMENTS = Object.fromEntries(
  NAMES.map((name) => [name, [OPEN_STATUSES, SCRIPTS[name].row.join(' '), SCRIPTS[name].record.join(' ')]]),
) as Record<ScriptName, string[]>

/** All arguments of a script: the common ones, its own, and its records. */
export function scriptArguments<N extends ScriptName>(
  name: N,
  own: readonly (string | number)[],
  records: readonly ScriptRecord<N>[] = [],
): (string | number)[] {
  const all: (string | number)[] = [...COMMON_ARGUMENTS[name], ...own]
  const fields: readonly (keyof ScriptRecord<N>)[] = SCRIPTS[name].record
  for (const record of records) for (const field of fields) all.push(record[field])
  return all
}

/**
 * The source of each script, with `common.lua` in front.
 * @throws ThreadpostError `START_FAILED` if a file is missing, as in a bundle
 */
export async function loadScripts(): Promise<Record<ScriptName, string>> {
  const common = await readScript('common')
  const sources = await Promise.all(
    NAMES.map(async (name) => {
      const first = REFUSED_AT_MAX_MEMORY.has(name) ? '' : AT_MAX_MEMORY
      return [name, first + common + (await readScript(name))] as const
    }),
  )
  return Object.fromEntries(sources) as Record<ScriptName, string>
}

function readScript(name: string): Promise<string> {
  return readFile(packagedFile(`src/queue/redis/scripts/${name}.lua`, 'a script of its queue'), 'utf8')
}
