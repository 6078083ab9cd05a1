import { mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { FileTransport, TransportReport } from '../../src/wire/transports.js'
import { Answers } from './answer.js'
import { HandOver } from './handOver.js'
import type { Delivered, Parcel, Progress, Transport } from './transport.js'
import { undelivered } from './verdict.js'

/**
 * Writes each message into a folder, as `ID.eml`. It stands there whole or not at all, and an attempt that is made
 * twice leaves one file.
 */
export class FileFolder implements Transport {
  readonly #config: FileTransport
  readonly #answers = new Answers([])
  readonly #handOver: HandOver

  constructor(config: FileTransport, writes: number) {
    this.#config = config
    this.#handOver = new HandOver(writes)
  }

  send(parcel: Parcel, progress: Progress, deadline: number): Promise<Delivered> {
    return this.#handOver.run(parcel, progress, deadline, async () => {
      try {
        await write(this.#config.dir, `${parcel.letter.id}.eml`, parcel.bytes)
      } catch (error) {
        return undelivered({ code: 'CONNECTION_FAILED', message: problem(error) })
      }
      return this.#answers.answered(
        { status: 250, text: `written to ${this.#config.dir}` },
        parcel.envelope.to,
      )
    })
  }

  async verify(): Promise<TransportReport> {
    const start = performance.now()
    const { name: transport, dir: host } = this.#config
    const facts = () => ({ transport, host, port: 0, ms: Math.round(performance.now() - start) })
    try {
      const probe = `.threadpost-${process.pid}-${Math.random().toString(36).slice(2)}`
      await write(this.#config.dir, probe, Buffer.alloc(0))
      await rm(path.join(this.#config.dir, probe))
    } catch (error) {
      return { ...facts(), ok: false, code: 'CONNECTION_FAILED', message: problem(error) }
    }
    return { ...facts(), ok: true, authenticated: false, extensions: [], pipelining: false, maxSize: 0 }
  }

  retire(heir: Transport): Promise<void> {
    return this.#handOver.retire(heir)
  }

  quit(): Promise<void> {
    return this.#handOver.quit()
  }
}

/** Under another name first: a rename is all or nothing. */
async function write(dir: string, name: string, bytes: Buffer): Promise<void> {
  await mkdir(dir, { recursive: true })
  const draft = path.join(dir, `.${name}.part`)
  const file = await open(draft, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } catch (error) {
    await file.close()
    await rm(draft, { force: true })
    throw error
  }
  await file.close()
  await rename(draft, path.join(dir, name))
}

function problem(error: unknown): string {
  return `The folder can't be written to: ${error instanceof Error ? error.message : String(error)}`
}
