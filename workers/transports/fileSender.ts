import { mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { FileTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { connectionFailed } from './sendResults.js'
import { ServiceResults } from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { SendResult, OutgoingMail, Progress, Transport } from './transport.js'

/**
 * Writes each message into a folder, as `ID.eml`. A file is complete or absent, and a repeated attempt overwrites it.
 */
export class FileSender implements Transport {
  readonly #config: FileTransport
  readonly #results = new ServiceResults([])
  readonly #calls: SingleCallSender

  constructor(config: FileTransport, writes: number) {
    this.#config = config
    this.#calls = new SingleCallSender(writes)
  }

  send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    return this.#calls.run(mail, progress, deadline, async () => {
      try {
        progress.sends(mail.composed)
        await write(this.#config.dir, `${mail.payload.id}.eml`, mail.composed.bytes)
      } catch (error) {
        return connectionFailed({ code: 'CONNECTION_FAILED', message: describeWriteError(error) })
      }
      return this.#results.fromResponse(
        { status: 250, text: `written to ${this.#config.dir}` },
        mail.envelope.to,
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
      return { ...facts(), ok: false, code: 'CONNECTION_FAILED', message: describeWriteError(error) }
    }
    return { ...facts(), ok: true, authenticated: false, extensions: [], pipelining: false, maxSize: 0 }
  }

  retire(successor: Transport): Promise<void> {
    return this.#calls.retire(successor)
  }

  quit(): Promise<void> {
    return this.#calls.quit()
  }
}

/** Writes under a temporary name first, because a rename is atomic. Removes the incomplete file of a failed write. */
async function write(dir: string, name: string, bytes: Buffer): Promise<void> {
  // Mail is private. A folder that exists keeps its permissions.
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const temporary = path.join(dir, `.${name}.part`)
  try {
    await writeWhole(temporary, bytes)
    await rename(temporary, path.join(dir, name))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}

/** Waits for sync and close, because some file systems report an exceeded quota only then. */
async function writeWhole(file: string, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    await handle.close().catch(() => undefined)
    throw error
  }
  await handle.close()
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full. Free some space; threadpost then writes the messages',
  EDQUOT:
    'the disk quota of this user is exceeded. Raise it or free some space; threadpost then writes the messages',
  EROFS: 'the file system is read-only. Mount it with write access',
  EACCES: 'this user has no write permission. Grant it',
  EPERM: 'this user has no write permission. Grant it',
  ENOTDIR: 'a part of the path is a file. Choose another folder',
  EEXIST: 'a file of that name exists. Choose another folder',
}

function describeWriteError(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  return `Writing to the folder failed: ${EXPLANATIONS[code] ?? message} (${code})`
}
