import { setTimeout as pause } from 'node:timers/promises'
import { ThreadpostError } from '../errors.js'
import { newToken } from '../message/ids.js'
import { isSettled } from '../message/messageState.js'
import { parseJson } from '../protocol/parseJson.js'
import type { QueueDriver, QueueTransfer, TransferResult } from './driver.js'
import { rangeOf, type RecordChange, type SharedRecord, type SharedRecords } from './records.js'
import { statusOf, unpackHead } from './rowCodec.js'
import type { StoredRow, WholeRow } from './storedRow.js'

/** Records that are copied, with those that the target has left as they are. */
export interface CopiedRecords {
  prefix: string
  /** Time until which the copy is kept, in ms since the epoch. */
  keepUntil: (record: SharedRecord) => number
  /** A number that counts these records. */
  counter?: { key: string; name: string }
}

export interface MoveOptions {
  /** Whether settled messages are moved, too. */
  history: boolean
  records: readonly CopiedRecords[]
  /** Whether an interrupted move to another target is forgotten. */
  restart: boolean
  /** Milliseconds to wait for the deliveries in progress to end. */
  patience: number
  /** Called after each step with the messages that were moved, and those that there were at the start. */
  progress: (moved: number, total: number) => void
}

export interface MoveResult {
  /** Messages that were moved and are to be sent. */
  waiting: number
  /** Settled messages that were moved. */
  settled: number
  /** Messages among these that an interrupted run had stored already. */
  resumed: number
  /** Records that were copied. */
  records: number
  /** Ids of messages that stay, because another message in the target has their idempotency key; the first 100. */
  conflicts: string[]
  /** Mails that stay, because they were submitted in SQL and no process has checked them yet. */
  unchecked: number
  /** All messages that stay, of those that were to be moved. */
  left: number
}

/** Messages in one step; each may be as large as the limit for messages. */
const BATCH = 25
/** Messages that a list reads at a time. */
const PAGE = 500
/** Milliseconds in which claims that began before the pause end, and between two looks. */
const SETTLE = 500
const MAX_NAMED = 100
/** Marks a source whose move has begun, and its target. */
const SOURCE_MARK = 'move:from'
const TARGET_MARK = 'move:into:'
const FOREVER = Number.MAX_SAFE_INTEGER

interface Mark {
  token: string
  /** Whether the source was paused before. */
  paused: boolean
}

/**
 * Moves the messages of one queue to another. The source is paused meanwhile, so that a message that both queues have for a moment
 * is sent by neither twice. Each message is stored in the target first, which knows it by its id, and then removed from the source:
 * a run that is interrupted is continued by the next one.
 * @throws ThreadpostError `INVALID_OPTIONS` for a queue in memory, or if both are one queue; `CONFLICT` while messages are being sent,
 *   or if a move to another queue has begun; `QUEUE_FULL`, `QUEUE_UNAVAILABLE`
 */
export async function moveQueue(
  from: QueueDriver,
  to: QueueDriver,
  options: MoveOptions,
): Promise<MoveResult> {
  const source = from.transfer ?? refuseMemory('from')
  const target = to.transfer ?? refuseMemory('to')
  const mark = await begin(from, to, options.restart)
  try {
    await untilIdle(from, options.patience)
  } catch (error) {
    await end(from, to, mark)
    throw error
  }
  const result: MoveResult = {
    waiting: 0,
    settled: 0,
    resumed: 0,
    records: 0,
    conflicts: [],
    unchecked: 0,
    left: 0,
  }
  result.records += await copyRecords(from.records, to.records, options.records)
  for (let moved = -1, total = 0; moved !== result.waiting + result.settled;) {
    moved = result.waiting + result.settled
    const ids = await idsOf(source, options.history)
    total = Math.max(total, moved + ids.length)
    result.conflicts = []
    result.unchecked = 0
    result.left = ids.length
    for (let at = 0; at < ids.length; at += BATCH) {
      await moveBatch(source, target, ids.slice(at, at + BATCH), result)
      options.progress(result.waiting + result.settled, total)
    }
  }
  result.records += await copyRecords(from.records, to.records, options.records)
  await end(from, to, mark)
  return result
}

function refuseMemory(path: 'from' | 'to'): never {
  throw new ThreadpostError(
    'INVALID_OPTIONS',
    `${path}: a queue in memory has no messages for other processes. Name a queue on SQLite, Redis, or Postgres`,
    { path },
  )
}

/** Marks both queues and pauses the source. An interrupted move to the same target is continued. */
async function begin(from: QueueDriver, to: QueueDriver, restart: boolean): Promise<Mark> {
  const before = await markOf(from.records)
  if (before !== undefined && !restart && !(await isMarked(to.records, before)))
    throw new ThreadpostError(
      'CONFLICT',
      'from: a move of this queue to another one was interrupted. Run that one again first; if its target no longer exists, use --restart',
      { path: 'from' },
    )
  const paused = before?.paused ?? (await from.stats()).paused
  const mark: Mark = before === undefined || restart ? { token: newToken(), paused } : before
  await to.records.write([{ key: TARGET_MARK + mark.token, keepUntil: FOREVER, document: '1' }])
  await from.records.write([{ key: SOURCE_MARK, keepUntil: FOREVER, document: JSON.stringify(mark) }])
  const isSame = (await markOf(to.records))?.token === mark.token
  if (isSame || (await markOf(from.records))?.token !== mark.token) {
    await to.records.write([{ key: TARGET_MARK + mark.token, keepUntil: 0, remove: true }])
    if (!isSame)
      throw new ThreadpostError('CONFLICT', 'from: another move of this queue has just begun', {
        path: 'from',
      })
    await from.records.write([{ key: SOURCE_MARK, keepUntil: 0, remove: true }])
    throw new ThreadpostError('INVALID_OPTIONS', 'to: is the same queue as from', { path: 'to' })
  }
  await from.pause()
  return mark
}

async function end(from: QueueDriver, to: QueueDriver, { token, paused }: Mark): Promise<void> {
  if (!paused) await from.resume()
  await from.records.write([{ key: SOURCE_MARK, keepUntil: 0, remove: true }])
  await to.records.write([{ key: TARGET_MARK + token, keepUntil: 0, remove: true }])
}

async function markOf(records: SharedRecords): Promise<Mark | undefined> {
  const [[found] = []] = await records.read([{ from: SOURCE_MARK, to: `${SOURCE_MARK}\x00` }])
  return found?.document === undefined ? undefined : (parseJson(found.document) as Mark)
}

async function isMarked(records: SharedRecords, { token }: Mark): Promise<boolean> {
  const key = TARGET_MARK + token
  const [found = []] = await records.read([{ from: key, to: `${key}\x00` }])
  return found.length > 0
}

/** Waits until no process delivers a message of the paused queue. */
async function untilIdle(queue: QueueDriver, patience: number): Promise<void> {
  const until = performance.now() + patience
  await pause(SETTLE)
  for (;;) {
    const { sending } = await queue.stats()
    if (sending === 0) return
    if (performance.now() > until)
      throw new ThreadpostError(
        'CONFLICT',
        `from: messages are being sent (${sending}). Wait until that has ended. If the process that sent them has died, start ` +
          'another one, such as threadpost worker: it takes them over. Then run this again',
        { path: 'from' },
      )
    await pause(SETTLE)
  }
}

/** The ids of all messages that can be moved, oldest first. */
async function idsOf(source: QueueTransfer, history: boolean): Promise<string[]> {
  const ids: string[] = []
  let before = Infinity
  for (;;) {
    const rows = await source.list(before, PAGE)
    for (const row of rows) if (history || !isSettled(statusOf(row))) ids.push(unpackHead(row).id)
    const last = rows.at(-1)
    if (last === undefined) return ids.reverse()
    before = last.seq
  }
}

/** Moves one batch of messages. */
async function moveBatch(
  source: QueueTransfer,
  target: QueueTransfer,
  ids: readonly string[],
  result: MoveResult,
): Promise<void> {
  const read = await source.read(ids)
  result.unchecked += read.filter((row) => row === undefined).length
  const rows = read.filter((row): row is WholeRow => row !== undefined && statusOf(row) !== 'sending')
  if (rows.length === 0) return
  const answers = await target.insert(rows)
  const there = rows.filter((row, index) => isThere(row, answers[index], result))
  const removed = await source.remove(there)
  for (const [index, row] of there.entries()) {
    if (removed[index] === true) result.left--
    else await takeBack(row, target)
    if (removed[index] !== true) continue
    if (isSettled(statusOf(row))) result.settled++
    else result.waiting++
  }
}

function isThere(row: WholeRow, answer: TransferResult | undefined, result: MoveResult): boolean {
  if (answer === 'full')
    throw new ThreadpostError(
      'QUEUE_FULL',
      'to: there is no room for more messages. Make room and run this again: it continues where it ended',
      { path: 'to' },
    )
  if (answer === 'conflict' && result.conflicts.length < MAX_NAMED) result.conflicts.push(unpackHead(row).id)
  if (answer === 'known') result.resumed++
  return answer === 'stored' || answer === 'known'
}

/** The message has changed in the source after it was read, and is moved again as it is then. */
async function takeBack(row: StoredRow, target: QueueTransfer): Promise<void> {
  const [stored] = await target.read([unpackHead(row).id])
  // A process that delivers from the target may have sent it.
  if (stored?.status === row.status) await target.remove([stored])
}

/** Copies the records that the target doesn't have. @returns how many */
async function copyRecords(
  from: SharedRecords,
  to: SharedRecords,
  kinds: readonly CopiedRecords[],
): Promise<number> {
  let copied = 0
  for (const kind of kinds) {
    const range = { ...rangeOf(kind.prefix), limit: PAGE }
    for (;;) {
      const [records = []] = await from.read([range])
      const there = await to.read(
        records.map(({ key: stored, name: key = stored }) => ({ from: key, to: `${key}\x00` })),
      )
      const missing = records.filter((_, index) => there[index]?.length === 0)
      const changes = missing.map((record): RecordChange => {
        const { key: stored, name: key = stored, numbers, document } = record
        const keepUntil = kind.keepUntil(record)
        return { key, keepUntil, raise: numbers, ...(document === undefined ? {} : { document }) }
      })
      if (kind.counter !== undefined && changes.length > 0) {
        const { key, name } = kind.counter
        changes.push({ key, keepUntil: FOREVER, add: { [name]: missing.length } })
      }
      if (changes.length > 0) await to.write(changes)
      copied += missing.length
      const last = records.at(-1)
      if (last === undefined || records.length < PAGE) break
      range.from = `${last.key}\x00`
    }
  }
  return copied
}
