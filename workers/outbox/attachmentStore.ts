import { createHash } from 'node:crypto'
import type { Database, Statement } from 'better-sqlite3'
import { copyOctets } from '../../src/protocol/octets.js'
import { parseJson } from '../../src/protocol/parseJson.js'
import type { AttachmentBytes } from '../../src/queue/storedRow.js'

/** The columns of `content` with the bytes of a message. */
export interface StoredFiles {
  /** JSON of {@link Reference references}. */
  attachments: string | null
  /** A finished message. */
  octets: Uint8Array | null
}

/** A message's reference to an attachment: `t` for text or `b` for bytes, followed by the hash in hex. */
type Reference = `${'t' | 'b'}${string}`

/** The bytes of attachments. Each attachment is stored once, however many messages use it. */
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

  /** A finished message is stored with its message: no other has the same bytes. */
  store(files: readonly AttachmentBytes[] | null): StoredFiles {
    const message = files?.find(({ isMessage }) => isMessage === true)?.content
    if (files === null || message !== undefined)
      return { attachments: null, octets: (message as Uint8Array | undefined) ?? null }
    const references = JSON.stringify(
      files.map(({ content }): Reference => {
        const bytes = typeof content === 'string' ? Buffer.from(content) : content
        const hash = createHash('sha256').update(bytes).digest()
        this.#add.run(hash, bytes)
        return `${typeof content === 'string' ? 't' : 'b'}${hash.toString('hex')}`
      }),
    )
    return { attachments: references, octets: null }
  }

  load({ attachments, octets }: StoredFiles): AttachmentBytes[] {
    if (octets !== null) return [{ content: copyOctets(octets), isMessage: true }]
    return parse(attachments).map((reference) => {
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
  return references === null ? [] : (parseJson(references) as Reference[])
}

function hashOf(reference: Reference): Buffer {
  return Buffer.from(reference.slice(1), 'hex')
}
