import type { RecordChange, SharedRecords } from '../records.js'
import { Cipher } from './cipher.js'
import { RowCipher } from './rowCipher.js'
import { SealedRecords } from './sealedRecords.js'

/** The encryption of a queue. It is loaded only with the option. */
export interface QueueEncryption {
  /** Names of the keys, that of the first key first. */
  keyIds: string[]
  rows: RowCipher
  /** Returns the records with sealed documents. */
  records: (records: SharedRecords) => SharedRecords
  /** Returns changes of records with sealed documents, for records that are stored with a message. */
  seal: (changes: readonly RecordChange[]) => RecordChange[]
}

/** @param keys of 32 bytes each; the first one encrypts, and each decrypts */
export function createEncryption(keys: readonly Uint8Array[]): QueueEncryption {
  const cipher = new Cipher(keys)
  const sealer = new SealedRecords(
    { read: () => Promise.resolve([]), write: () => Promise.resolve() },
    cipher,
  )
  return {
    keyIds: cipher.keyIds,
    rows: new RowCipher(cipher),
    records: (records) => new SealedRecords(records, cipher),
    seal: (changes) => sealer.seal(changes),
  }
}
