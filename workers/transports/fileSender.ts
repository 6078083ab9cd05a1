import { mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { FileTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { connectionFailed } from './sendResults.js'
import { ServiceResults } from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { SendResult, OutgoingMail, Progress, Transport } from './transport.js'

/**
 * Writes each message into a folder, as `ID.eml`. It stands there whole or not at all, and an attempt that is made
 * twice leaves one file.
 */
export class FileSender implements Transport {
  readonly #config: FileTransport
  readonly #answers = new ServiceResults([])
  readonly #handOver: SingleCallSender

  constructor(config: FileTransport, writes: number) {
    this.#config = config
    this.#handOver = new SingleCallSender(writes)
  }

  send(parcel: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    return this.#handOver.run(parcel, progress, deadline, async () => {
      try {
        await write(this.#config.dir, `${parcel.payload.id}.eml`, parcel.bytes)
      } catch (error) {
        return connectionFailed({ code: 'CONNECTION_FAILED', message: problem(error) })
      }
      return this.#answers.fromResponse(
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

/** Under another name first: a rename is all or nothing. What a full disk took in part is removed, whatever failed. */
async function write(dir: string, name: string, bytes: Buffer): Promise<void> {
  await mkdir(dir, { recursive: true })
  const draft = path.join(dir, `.${name}.part`)
  try {
    await writeWhole(draft, bytes)
    await rename(draft, path.join(dir, name))
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined)
    throw error
  }
}

/** Some file systems report a quota only when the file is closed. */
async function writeWhole(file: string, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'w')
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    await handle.close().catch(() => undefined)
    throw error
  }
  await handle.close()
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOSPC: 'its disk is full; make room, and the messages are written',
  EDQUOT:
    'the quota of this user on its disk is used up; raise it or make room, and the messages are written',
  EROFS: 'its disk is read-only; mount it for writing',
  EACCES: 'this user may not write there; give it the permission',
  EPERM: 'this user may not write there; give it the permission',
  ENOTDIR: 'a part of its path is a file; name another folder',
  EEXIST: 'there is a file of that name; name another folder',
}

function problem(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  return `The folder can't be written to: ${PROBLEMS[code] ?? message} (${code})`
}
