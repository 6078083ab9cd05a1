/**
 * What the phase board can't: a note of each delivery's last steps that outlives the process. Each thread writes the
 * notes of its own deliveries, just before the body is handed over and when the reply is in; the write goes to the
 * operating system's cache and no further, which is enough as long as the machine itself stays up. After a restart
 * of the machine the notes prove nothing, and are not believed.
 */
import { closeSync, openSync, readFileSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { type Evidence, NOTHING_STARTED, resultBits, resultFromBits } from '../src/protocol/evidence.js'
import { PHASES, type Phase, type RecipientOutcome } from '../src/protocol/outcome.js'

/** Bytes of a note: id, attempt, phase, reply, number of recipients, and 2 bits for each of them. */
const NOTE = 512
const ID = 36
const AT = { attempt: 36, phase: 38, reply: 40, recipients: 42, results: 44 } as const
const RESULTS_PER_BYTE = 4
const MOST_RECIPIENTS = (NOTE - AT.results) * RESULTS_PER_BYTE

/** The part of a delivery that a note is about. */
interface Subject {
  id: string
  attempt: number
  /** Its place in the file: nobody else's until what the delivery came to is stored. */
  note: number
}

/** The notes of one delivery. */
export interface JournalEntry {
  /** To be called before the write that carries the final dot. */
  body(): void
  /** Takes `body` back: it is certain after all that nothing was handed over. The next attempt may bear the same number. */
  unsent(): void
  /** `results`: one for each recipient of the attempt, in order. */
  replied(reply: number, results: readonly RecipientOutcome['result'][]): void
}

export class DeliveryJournal {
  readonly #file: string
  readonly #note = Buffer.alloc(NOTE)
  #descriptor: number | undefined

  constructor(file: string) {
    this.#file = file
  }

  entryFor(subject: Subject): JournalEntry {
    return {
      body: () => this.#write(subject, 'body', 0, []),
      unsent: () => this.#write(subject, 'connecting', 0, []),
      replied: (reply, results) => this.#write(subject, 'replied', reply, results.slice(0, MOST_RECIPIENTS)),
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }

  #write(
    { id, attempt, note: place }: Subject,
    phase: Phase,
    reply: number,
    results: readonly RecipientOutcome['result'][],
  ): void {
    const note = this.#note
    const end = AT.results + Math.ceil(results.length / RESULTS_PER_BYTE)
    note.fill(0, AT.results, end)
    note.write(id, 0, ID, 'latin1')
    note.writeUInt16LE(Math.min(attempt, 0xffff), AT.attempt)
    note.writeUInt8(PHASES.indexOf(phase), AT.phase)
    note.writeUInt16LE(reply, AT.reply)
    note.writeUInt16LE(results.length, AT.recipients)
    results.forEach((result, index) => {
      const at = AT.results + Math.floor(index / RESULTS_PER_BYTE)
      note[at] = (note[at] ?? 0) | resultBits(result, index, RESULTS_PER_BYTE)
    })
    try {
      this.#descriptor ??= openSync(this.#file, 'r+')
      const written = writeSync(this.#descriptor, note, 0, end, (place + 1) * NOTE)
      if (written < end) throw new Error('only a part of the note was written')
    } catch {
      this.#discredit()
    }
  }

  /**
   * A note could not be written. The delivery goes on, so from now on no note of this process may be believed:
   * without its first bytes the file proves nothing, and if the process dies, what it was sending is uncertain.
   */
  #discredit(): void {
    try {
      truncateSync(this.#file, 0)
    } catch {
      // A file that can be neither written nor cut is on a device that has failed, or read-only.
    }
  }
}

/**
 * Begins an empty file of notes. It has its room from the start, so that a full disk stops no delivery under way; where
 * there is no room for it, there is no file either.
 * @param places deliveries that may have a note at a time
 */
export function openJournal(file: string, places: number): void {
  const notes = Buffer.alloc(NOTE * (places + 1))
  notes.write(bootId() ?? 'unknown', 'latin1')
  const descriptor = openSync(file, 'w', 0o600)
  try {
    for (let at = 0; at < notes.length;) at += writeSync(descriptor, notes, at)
  } catch (error) {
    rmSync(file, { force: true })
    throw error
  } finally {
    closeSync(descriptor)
  }
}

/**
 * What the notes of a dead process say.
 * @returns how far an attempt got (`waiting`: not as far as the body), or undefined where they prove nothing.
 */
export function readJournal(file: string): ((id: string, attempt: number) => Evidence) | undefined {
  const boot = bootId()
  let notes: Buffer
  try {
    notes = readFileSync(file)
  } catch {
    return undefined
  }
  if (boot === undefined || notes.length < NOTE || notes.toString('latin1', 0, boot.length) !== boot)
    return undefined
  const found = new Map<string, Evidence>()
  for (let at = NOTE; at + AT.results <= notes.length; at += NOTE) {
    const note = notes.subarray(at, at + NOTE)
    const key = keyOf(note.toString('latin1', 0, ID), note.readUInt16LE(AT.attempt))
    found.set(key, evidenceOf(note))
  }
  return (id, attempt) => found.get(keyOf(id, attempt)) ?? NOTHING_STARTED
}

function evidenceOf(note: Buffer): Evidence {
  const recipients = Array.from({ length: note.readUInt16LE(AT.recipients) }, (_, index) => {
    const byte = note[AT.results + Math.floor(index / RESULTS_PER_BYTE)] ?? 0
    return resultFromBits(byte, index, RESULTS_PER_BYTE)
  })
  const phase = PHASES[note.readUInt8(AT.phase)] ?? 'body'
  return { phase, thread: 0, reply: note.readUInt16LE(AT.reply), recipients }
}

function keyOf(id: string, attempt: number): string {
  return `${id} ${attempt}`
}

/** Names this run of the operating system; only Linux tells. */
function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return undefined
  }
}
