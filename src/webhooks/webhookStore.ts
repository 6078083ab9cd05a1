import { randomInt } from 'node:crypto'
import { parseJson } from '../protocol/parseJson.js'
import { type RecordChange, type RecordRange, rangeOf, type SharedRecord } from '../queue/records.js'
import type { WebhookType } from './webhookOptions.js'

/**
 * The events that wait for endpoints, in the records of the queue. The events of one lane are sent one after the other: a lane
 * is a message, or the alerts.
 *
 * | key                                   | contents                                                                             |
 * | ------------------------------------- | ------------------------------------------------------------------------------------ |
 * | `hook:event:ENDPOINT:LANE:ORDER`      | an event: its id and its body; the numbers `tries`, `first`, and `next` after a failure |
 * | `hook:due:ENDPOINT:TIME:LANE:ORDER`   | permits one attempt of the lane's first event at the time; there is one for each event |
 * | `hook:failed:ENDPOINT:TIME:LANE:ORDER` | an event that was given up, the latest first                                         |
 * | `hook:state:ENDPOINT`                 | the trouble of the endpoint, and its counts                                          |
 * | `hook:lease:ENDPOINT:TIME:PROCESS`    | a process that sends to the endpoint, if no other one was first                      |
 */
const PREFIX = 'hook:'
/** Records that are removed, and never expire. */
const FOREVER = Number.MAX_SAFE_INTEGER
/** Milliseconds for which an event is listed that was given up. */
const KEEP_FAILED = 7 * 24 * 60 * 60 * 1000
const TIME_DIGITS = 13
const SEQUENCES = 36 ** 4
/** The lane of the alerts; no message has this id. */
export const ALERTS = 'alerts'

export type CountName = 'stored' | 'failed' | 'delivered' | 'dropped'

/** The counts of an endpoint, over all processes; `stored`: events that wait, `failed`: events that are listed as given up. */
export type EndpointCounts = Record<CountName, number>

/** The condition of an endpoint that does not accept events. */
export interface Trouble {
  state: 'failing' | 'disabled'
  /** ISO 8601 */
  since: string
  problem: string
}

export interface EndpointState extends EndpointCounts {
  trouble?: Trouble
}

export interface StoredEvent {
  lane: string
  order: string
  /** The `webhook-id`. */
  id: string
  body: string
  /** Failed attempts. */
  tries: number
  /** Time of the first failed attempt, in ms since the epoch; 0 without one. */
  first: number
  /** Time of the next attempt. */
  next: number
}

/** An event that was given up. */
export interface FailedEvent extends Omit<StoredEvent, 'first' | 'next'> {
  problem: string
  /** Milliseconds since the epoch. */
  failedAt: number
}

/** Begins at random, so that two processes give no two events of a message the same place. */
let sequence = randomInt(SEQUENCES)

/** The place of an event in its lane: attempts come in their order even if the clocks of processes differ. */
export function orderOf(attempts: number, now: number): string {
  sequence = (sequence + 1) % SEQUENCES
  return `${String(attempts).padStart(4, '0')}${timeText(now)}${sequence.toString(36).padStart(4, '0')}`
}

export function newEvent(
  endpoint: string,
  { lane, order, id, body }: Pick<StoredEvent, 'lane' | 'order' | 'id' | 'body'>,
  now: number,
): RecordChange[] {
  return [
    { key: eventKey(endpoint, lane, order), keepUntil: FOREVER, document: `${id} ${body}` },
    { key: dueKey(endpoint, now, lane, order), keepUntil: FOREVER },
    counted(endpoint, { stored: 1 }),
  ]
}

export function counted(endpoint: string, add: Partial<EndpointCounts>): RecordChange {
  return { key: stateKey(endpoint), keepUntil: FOREVER, add: add }
}

export function troubled(endpoint: string, trouble: Trouble | undefined): RecordChange {
  return { key: stateKey(endpoint), keepUntil: FOREVER, document: JSON.stringify(trouble ?? null) }
}

export function removed(key: string): RecordChange {
  return { key, keepUntil: 0, remove: true }
}

/** The event of a lane was delivered. */
export function deliveredChanges(
  endpoint: string,
  { lane, order }: StoredEvent,
  due: string,
): RecordChange[] {
  return [
    removed(due),
    removed(eventKey(endpoint, lane, order)),
    counted(endpoint, { stored: -1, delivered: 1 }),
  ]
}

/** The event is tried again at `next`. The permit keeps its own order, so that no two of a lane become one. */
export function retryChanges(
  endpoint: string,
  { lane, order, tries, first, next }: StoredEvent,
  due: string,
): RecordChange[] {
  return [
    ...postponed(endpoint, due, next),
    { key: eventKey(endpoint, lane, order), keepUntil: FOREVER, raise: { tries, first, next } },
  ]
}

/** Moves the permit for an attempt to a later time. */
export function postponed(endpoint: string, due: string, until: number): RecordChange[] {
  const { lane, order } = placeOf(due)
  return [removed(due), { key: dueKey(endpoint, until, lane, order), keepUntil: FOREVER }]
}

/** The event was given up. */
export function failedChanges(endpoint: string, event: FailedEvent, due: string): RecordChange[] {
  const { lane, order, failedAt } = event
  return [
    removed(due),
    removed(eventKey(endpoint, lane, order)),
    {
      key: `${PREFIX}failed:${endpoint}:${timeText(10 ** TIME_DIGITS - 1 - failedAt)}:${lane}:${order}`,
      keepUntil: failedAt + KEEP_FAILED,
      document: JSON.stringify(event),
    },
    counted(endpoint, { stored: -1, failed: 1 }),
  ]
}

/** The changes that send an event again that was given up. */
export function redeliveryChanges(endpoint: string, record: SharedRecord, now: number): RecordChange[] {
  return [
    removed(record.key),
    ...newEvent(endpoint, toFailed(record), now),
    counted(endpoint, { failed: -1 }),
  ]
}

/** All events that wait, of all endpoints. */
export function allEvents(limit: number): RecordRange & { limit: number } {
  return { ...rangeOf(`${PREFIX}event:`), limit }
}

/** All events that were given up, of all endpoints. */
export function allFailedEvents(limit: number): RecordRange & { limit: number } {
  return { ...rangeOf(`${PREFIX}failed:`), limit }
}

/**
 * The changes that replace the body of an event that waits. The event moves to the place that follows its own: if its sender
 * removes it meanwhile, it is sent again with the new body, and its number is corrected once the endpoint has no more events.
 */
export function rewrittenEvent(record: SharedRecord, body: string, now: number): RecordChange[] {
  const { endpoint, lane, order } = placeOfEvent(record.key)
  const { id, tries, first, next } = toEvent(record)
  const following = `${order}+`
  return [
    removed(record.key),
    {
      key: eventKey(endpoint, lane, following),
      keepUntil: FOREVER,
      document: `${id} ${body}`,
      ...(tries > 0 ? { raise: { tries, first, next } } : {}),
    },
    // One permit too many does no harm.
    { key: dueKey(endpoint, Math.max(now, next), lane, following), keepUntil: FOREVER },
  ]
}

/** The change that replaces the body of an event that was given up. */
export function rewrittenFailure(record: SharedRecord, body: string): RecordChange {
  const event = toFailed(record)
  return {
    key: record.key,
    keepUntil: event.failedAt + KEEP_FAILED,
    document: JSON.stringify({ ...event, body }),
  }
}

export function leaseKey(endpoint: string, since: number, process: string): string {
  return `${PREFIX}lease:${endpoint}:${timeText(since)}:${process}`
}

export function leaseRange(endpoint: string): RecordRange {
  return { ...rangeOf(`${PREFIX}lease:${endpoint}:`), limit: 20 }
}

export function stateRange(endpoint: string): RecordRange {
  return { from: stateKey(endpoint), to: `${stateKey(endpoint)}!`, limit: 1 }
}

/** The permits for attempts until a time, the earliest first. */
export function dueRange(endpoint: string, until: number, limit: number): RecordRange {
  const prefix = `${PREFIX}due:${endpoint}:`
  return { from: prefix, to: `${prefix}${timeText(until + 1)}`, limit }
}

/** The first event of a lane. */
export function laneRange(endpoint: string, lane: string): RecordRange {
  return { ...rangeOf(`${PREFIX}event:${endpoint}:${lane}:`), limit: 1 }
}

/** The first event of an endpoint. */
export function anyEventRange(endpoint: string): RecordRange {
  return { ...rangeOf(`${PREFIX}event:${endpoint}:`), limit: 1 }
}

export function failedRange(endpoint: string, limit?: number): RecordRange {
  return { ...rangeOf(`${PREFIX}failed:${endpoint}:`), ...(limit === undefined ? {} : { limit }) }
}

export function placeOf(dueRecordKey: string): { lane: string; order: string } {
  const [, , , , lane = '', order = ''] = dueRecordKey.split(':')
  return { lane, order }
}

export function placeOfEvent(key: string): { endpoint: string; lane: string; order: string } {
  const [, , endpoint = '', lane = '', order = ''] = key.split(':')
  return { endpoint, lane, order }
}

export function toEvent({ key, document = '', numbers }: SharedRecord): StoredEvent {
  const { lane, order } = placeOfEvent(key)
  const end = document.indexOf(' ')
  const { tries = 0, first = 0, next = 0 } = numbers
  return { lane, order, id: document.slice(0, end), body: document.slice(end + 1), tries, first, next }
}

export function toFailed({ document = '{}' }: SharedRecord): FailedEvent {
  return parseJson(document) as FailedEvent
}

export function toState(record: SharedRecord | undefined): EndpointState {
  const { stored = 0, failed = 0, delivered = 0, dropped = 0 } = record?.numbers ?? {}
  const trouble = parseJson(record?.document ?? 'null') as Trouble | null
  return { stored, failed, delivered, dropped, ...(trouble === null ? {} : { trouble }) }
}

/** The parts of a body that are shown. */
export function summaryOf(body: string): { type: WebhookType; timestamp: string } {
  return parseJson(body) as { type: WebhookType; timestamp: string }
}

function stateKey(endpoint: string): string {
  return `${PREFIX}state:${endpoint}`
}

function eventKey(endpoint: string, lane: string, order: string): string {
  return `${PREFIX}event:${endpoint}:${lane}:${order}`
}

function dueKey(endpoint: string, time: number, lane: string, order: string): string {
  return `${PREFIX}due:${endpoint}:${timeText(time)}:${lane}:${order}`
}

function timeText(time: number): string {
  return String(Math.floor(time)).padStart(TIME_DIGITS, '0')
}
