import { createHash } from 'node:crypto'
import type { Database, Statement } from 'better-sqlite3'
import type { AttachmentBytes } from '../../src/queue/storedRow.js'

/** How a message names an attachment: whether it was given as text, and the hash in hex. */
type Reference = `${'t' | 'b'}${string}`

/** The bytes of attachments, each stored once however many messages carry it. */
export class AttachmentStore {
  readonly #add: Statement<[Buffer, Uint8Array]>
  readonly #drop: Statement<[Buffer]>
  readonly #sweep: Statement<[Buffer]>
  readonly #get: Statement<[Buffer], { bytes: Buffer }>

  constructor(db: Database) {
    this.#add = db.prepare(
      'INSERT INTO attachment (hash, uses, bytes) VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET uses = uses + 1',
    )
    this.#drop = db.prepare('UPDATE attachment SET uses = uses - 1 WHERE hash = ?')
    this.#sweep = db.prepare('DELETE FROM attachment WHERE hash = ? AND uses <= 0')
    this.#get = db.prepare('SELECT bytes FROM attachment WHERE hash = ?')
  }

  /** @returns the references as JSON */
  store(attachments: readonly AttachmentBytes[]): string {
    return JSON.stringify(
      attachments.map(({ content }): Reference => {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content
        const hash = createHash('sha256').update(bytes).digest()
        this.#add.run(hash, bytes)
        return `${typeof content === 'string' ? 't' : 'b'}${hash.toString('hex')}`
      }),
    )
  }

  load(references: string | null): AttachmentBytes[] {
    return parse(references).map((reference) => {
      const bytes = this.#get.get(hashOf(reference))?.bytes ?? Buffer.alloc(0)
      return { content: reference.startsWith('t') ? bytes.toString() : new Uint8Array(bytes) }
    })
  }

  release(references: string | null): void {
    for (const reference of parse(references)) {
      const hash = hashOf(reference)
      this.#drop.run(hash)
      this.#sweep.run(hash)
    }
  }
}

function parse(references: string | null): Reference[] {
  return references === null ? [] : (JSON.parse(references) as Reference[])
}

function hashOf(reference: Reference): Buffer {
  return Buffer.from(reference.slice(1), 'hex')
}
