/**
 * Records: small entries that the processes of one queue share besides the messages: figures by window of time, the processes
 * themselves, settings, and the audit log. A record has numbers, a document, or both. This module defines what a driver must
 * do with them; `src/telemetry/` defines the keys.
 */

/** A change of one record. Its parts are applied together; a record that doesn't exist is created. */
export interface RecordChange {
  /** ASCII, at most 200 characters. Records are read in the order of their keys. */
  key: string
  /** Time until which the record is kept, in ms since the epoch. */
  keepUntil: number
  /** Added to the record's numbers. */
  add?: Readonly<Record<string, number>>
  /** Raises the record's numbers to these values; a number that is higher stays. */
  raise?: Readonly<Record<string, number>>
  /** Replaces the record's document. */
  document?: string
  /** Deletes the record instead. */
  remove?: true
}

/** A record as it is read. */
export interface SharedRecord {
  key: string
  /** The key that the record was written with, if an encrypted queue stores a token in its place. */
  name?: string
  /** Milliseconds since the last change, by the queue's own clock: the processes of a fleet may disagree about the time. */
  age: number
  numbers: Record<string, number>
  document?: string
}

/** The records with `from` ≤ key < `to`. */
export interface RecordRange {
  from: string
  to: string
  /** Maximum number of records, the first ones. @default all */
  limit?: number
}

/** The records of a queue. */
export interface SharedRecords {
  /** Makes all changes, or none. They are as durable as the messages. Rejects if they can't be stored now. */
  write(changes: readonly RecordChange[]): Promise<void>
  /** Returns the records of each range in the order of their keys, without those that have expired. */
  read(ranges: readonly RecordRange[]): Promise<SharedRecord[][]>
}

/** The result of a change of a message; `stale`: another change came first. */
export type ChangeResult = 'written' | 'stale'

/** The stored part of a record. */
export interface RecordValue {
  numbers: Record<string, number>
  document?: string
}

/** Applies a change to a record's value. */
export function applyChange(value: RecordValue, { add = {}, raise = {}, document }: RecordChange): void {
  const { numbers } = value
  for (const [name, amount] of Object.entries(add)) numbers[name] = (numbers[name] ?? 0) + amount
  for (const [name, least] of Object.entries(raise)) numbers[name] = Math.max(numbers[name] ?? least, least)
  if (document !== undefined) value.document = document
}

/** A key that names an address: `s:`, the encoded address, and the rest. Groups: all up to the rest, `s:`, and the address. */
export const ADDRESS_KEY = /^((s:)([^:]+):)/

/** Returns the range of all keys that begin with a prefix. */
export function rangeOf(prefix: string): RecordRange {
  return { from: prefix, to: `${prefix}\x7f` }
}
