import type { Phase, RecipientOutcome } from './outcome.js'

/** The known facts about a delivery whose thread or process died, read from the phase board or the delivery journal. */
export interface Evidence {
  readonly phase: Phase
  /** Id of the thread that worked on it; 0 if none did, or it is unknown. */
  readonly thread: number
  /** Code of the server's final reply; 0 if none was recorded. */
  readonly reply: number
  /** One result for each recipient of the attempt, in order; undefined where none was recorded. */
  readonly recipients: readonly RecordedResult[]
}

/** A recipient's result as two bits can hold it. `uncertain` is recorded as undefined: nothing is known. */
export type RecordedResult = Exclude<RecipientOutcome['result'], 'uncertain'> | undefined

/** The evidence of a delivery that no thread started: nothing was sent. */
export const NOTHING_STARTED: Evidence = { phase: 'waiting', thread: 0, reply: 0, recipients: [] }

/** An entry of the delivery journal. */
export interface JournaledAttempt {
  /** Number of the attempt, from 1 to {@link MAX_JOURNALED}, which also stands for later ones. */
  readonly attempt: number
  readonly evidence: Evidence
}

export const MAX_JOURNALED = 0xffff

/**
 * Returns how far an attempt got. One without an entry handed nothing over.
 * @param entries of its message; null if the journal proves nothing
 */
export function evidenceOn(
  entries: readonly JournaledAttempt[] | null,
  attempt: number,
): Evidence | undefined {
  if (entries === null) return undefined
  const number = Math.min(attempt, MAX_JOURNALED)
  return entries.find((entry) => entry.attempt === number)?.evidence ?? NOTHING_STARTED
}

/** The index of a result is its two bits. The delivery journal stores them, so the order never changes. */
const RESULTS: readonly RecordedResult[] = [undefined, 'accepted', 'rejected', 'deferred']

/**
 * Encodes one recipient's result, shifted to its place in a word of `perWord` results. OR it into word
 * `Math.floor(index / perWord)`.
 * @param perWord results in a word: 4 in a byte, 16 in an Int32
 */
export function resultBits(result: RecipientOutcome['result'], index: number, perWord: number): number {
  const bits = Math.max(0, RESULTS.indexOf(result as RecordedResult))
  return bits << ((index % perWord) * 2)
}

/** Decodes the result of recipient `index` from its word. The inverse of {@link resultBits}. */
export function resultFromBits(word: number, index: number, perWord: number): RecordedResult {
  return RESULTS[(word >>> ((index % perWord) * 2)) & 3]
}
