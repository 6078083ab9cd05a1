/**
 * The delivery journal: a file with an entry for each delivery in progress, which outlives the process as the phase board
 * can't. Each thread writes the entries of its own deliveries, just before the body is handed over and when the reply
 * has arrived. The write goes no further than the operating system's cache, which is enough as long as the machine stays up.
 * After a reboot the entries prove nothing, and are ignored.
 */
import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs'
import {
  type Evidence,
  type JournaledAttempt,
  MAX_JOURNALED,
  resultBits,
  resultFromBits,
} from '../src/protocol/evidence.js'
import { PHASES, type Phase, type RecipientOutcome } from '../src/protocol/outcome.js'

/** Bytes of an entry: id, attempt, phase, reply, number of recipients, 2 bits for each of them, and the seal. */
const ENTRY_SIZE = 512
/**
 * Ends each entry from the start on, and is never written again. Without it the entry was cut off, or the file was, and grew again
 * with a hole where other entries were.
 */
const SEAL = Buffer.from('sealed')
const SEAL_AT = ENTRY_SIZE - SEAL.length
/** In the first entry, behind the id of the boot: number of entries that follow. */
const COUNT_AT = 256
const ID = 36
const AT = { attempt: 36, phase: 38, reply: 40, recipients: 42, results: 44 } as const
const RESULTS_PER_BYTE = 4
const MOST_RECIPIENTS = (SEAL_AT - AT.results) * RESULTS_PER_BYTE

/** The delivery that an entry describes. */
interface JournaledDelivery {
  id: string
  attempt: number
  /** Index of the entry in the file. No other delivery uses it until the outcome of this one is stored. */
  note: number
}

/** Writes the entry of one delivery. */
export interface JournalEntry {
  /**
   * Call this before the write that carries the final dot.
   * @param reply,results of the transactions before it; 0 and none for the first
   */
  body(reply: number, results: readonly RecipientOutcome['result'][]): void
  /** Revokes `body`: nothing was handed over after all. The next attempt may have the same number. */
  unsent(): void
  /** @param results one for each recipient of the attempt, in order */
  replied(reply: number, results: readonly RecipientOutcome['result'][]): void
}

export class DeliveryJournal {
  readonly #file: string
  readonly #entry = Buffer.alloc(ENTRY_SIZE)
  #descriptor: number | undefined

  constructor(file: string) {
    this.#file = file
  }

  entryFor(delivery: JournaledDelivery): JournalEntry {
    return {
      body: (reply, results) => this.#write(delivery, 'body', reply, results),
      unsent: () => this.#write(delivery, 'connecting', 0, []),
      replied: (reply, results) => this.#write(delivery, 'replied', reply, results),
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #write(
    { id, attempt, note: index }: JournaledDelivery,
    phase: Phase,
    reply: number,
    allResults: readonly RecipientOutcome['result'][],
  ): void {
    const entry = this.#entry
    const results = allResults.slice(0, MOST_RECIPIENTS)
    const end = AT.results + Math.ceil(results.length / RESULTS_PER_BYTE)
    entry.fill(0, AT.results, end)
    entry.write(id, 0, ID, 'latin1')
    entry.writeUInt16LE(Math.min(attempt, MAX_JOURNALED), AT.attempt)
    entry.writeUInt8(PHASES.indexOf(phase), AT.phase)
    entry.writeUInt16LE(reply, AT.reply)
    entry.writeUInt16LE(results.length, AT.recipients)
    results.forEach((result, index) => {
      const at = AT.results + Math.floor(index / RESULTS_PER_BYTE)
      entry[at] = (entry[at] ?? 0) | resultBits(result, index, RESULTS_PER_BYTE)
    })
    try {
      this.#descriptor ??= openSync(this.#file, 'r+')
      const written = writeSync(this.#descriptor, entry, 0, end, (index + 1) * ENTRY_SIZE)
      if (written < end) throw new Error('the entry was written only in part')
    } catch {
      this.#discredit()
    }
  }

  /**
   * An entry could not be written. The delivery goes on, so from now on no entry of this process may be trusted:
   * without its first bytes the file proves nothing, and if the process dies, every message it was sending is uncertain.
   */
  #discredit(): void {
    try {
      truncateSync(this.#file, 0)
    } catch {
      // A file that can be neither written nor truncated is on a device that failed or became read-only.
    }
  }
}

/**
 * Creates an empty journal. Its space is allocated up front, so that a full disk stops no delivery in progress; if there is not
 * enough space, no file is left behind and the error is thrown.
 * @param places deliveries that may have an entry at a time
 */
export function openJournal(file: string, places: number): void {
  const journal = Buffer.alloc(ENTRY_SIZE * (places + 1))
  journal.write(bootId() ?? 'unknown', 'latin1')
  journal.writeUInt32LE(places, COUNT_AT)
  for (let entry = 0; entry <= places; entry++) SEAL.copy(journal, entry * ENTRY_SIZE + SEAL_AT)
  const descriptor = openSync(file, 'w', 0o600)
  try {
    for (let at = 0; at < journal.length;) at += writeSync(descriptor, journal, at)
  } catch (error) {
    rmSync(file, { force: true })
    throw error
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Reads the journal of a dead process.
 * @returns a function that returns the attempts of a message that have an entry, or undefined if the journal proves nothing
 */
export function readJournal(file: string): ((id: string) => JournaledAttempt[]) | undefined {
  const boot = bootId()
  let journal: Buffer
  try {
    journal = readFileSync(file)
  } catch {
    return undefined
  }
  if (
    boot === undefined ||
    journal.length < ENTRY_SIZE ||
    journal.toString('latin1', 0, boot.length) !== boot ||
    !isWhole(journal)
  )
    return undefined
  const found = new Map<string, JournaledAttempt[]>()
  for (let at = ENTRY_SIZE; at + AT.results <= journal.length; at += ENTRY_SIZE) {
    const entry = journal.subarray(at, at + ENTRY_SIZE)
    const id = entry.toString('latin1', 0, ID)
    const attempt = { attempt: entry.readUInt16LE(AT.attempt), evidence: evidenceOf(entry) }
    found.set(id, [...(found.get(id) ?? []), attempt])
  }
  return (id) => found.get(id) ?? []
}

/** Whether the file is as long as it was at its start, with all its entries. */
function isWhole(journal: Buffer): boolean {
  const entries = journal.readUInt32LE(COUNT_AT) + 1
  if (journal.length !== entries * ENTRY_SIZE) return false
  for (let entry = 0; entry < entries; entry++) {
    const at = entry * ENTRY_SIZE + SEAL_AT
    if (!journal.subarray(at, at + SEAL.length).equals(SEAL)) return false
  }
  return true
}

function evidenceOf(entry: Buffer): Evidence {
  const recipients = Array.from({ length: entry.readUInt16LE(AT.recipients) }, (_, index) => {
    const byte = entry[AT.results + Math.floor(index / RESULTS_PER_BYTE)] ?? 0
    return resultFromBits(byte, index, RESULTS_PER_BYTE)
  })
  const phase = PHASES[entry.readUInt8(AT.phase)] ?? 'body'
  return { phase, thread: 0, reply: entry.readUInt16LE(AT.reply), recipients }
}

/** Identifies this boot of the operating system; only Linux has such an id. */
function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return undefined
  }
}
