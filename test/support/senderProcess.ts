import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

export interface SenderOrder {
  file: string
  url: string
  count?: number
  callers?: number
  /** Number of the first mail, of which its idempotency key is made. */
  first?: number
  threads?: number
  concurrency?: number
  queue?: object
  mail?: object
  /** The request context in which it sends. */
  context?: object
  options?: object
  /** Milliseconds to close in. */
  deadline?: number
  /** A file with the milliseconds by which its clock is wrong, read whenever it looks at the clock. */
  clock?: string
  /** Bytes that any file it writes may have, where the system knows such a limit: `ulimit -f`. */
  fileLimit?: number
}

const SCRIPT = path.join(import.meta.dirname, 'sender.mjs')
const CLOCK = pathToFileURL(path.join(import.meta.dirname, 'wrongClock.mjs')).href

/** A process that sends mail, and what it has said so far. Only the test that started it ends it. */
export class SenderProcess {
  /** Message-IDs by id, of each receipt it was given. */
  readonly receipts = new Map<string, string>()
  readonly errors: string[] = []
  readonly #child: ChildProcess
  /** Settles when it has ended, one way or the other. */
  readonly exited: Promise<unknown>
  readonly #lines = new Map<string, (() => void)[]>()
  readonly #said = new Set<string>()
  readonly #receiptListeners: (() => void)[] = []
  #complaint = ''

  constructor(order: SenderOrder) {
    const { clock, fileLimit, ...rest } = order
    const preload = clock === undefined ? [] : ['--import', CLOCK]
    const command = [process.execPath, ...preload, SCRIPT, JSON.stringify(rest)]
    // In blocks of 512 bytes, as POSIX has it.
    const limit =
      fileLimit === undefined ? [] : ['sh', '-c', `ulimit -f ${fileLimit / 512} && exec "$@"`, 'sh']
    const [program = '', ...args] = [...limit, ...command]
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...(clock === undefined ? {} : { WRONG_CLOCK: clock }) },
    })
    this.exited = once(this.#child, 'close')
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#complaint += text))
    if (this.#child.stdout !== null)
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line))
  }

  /** Resolves once it has said this line; rejects if it ends before. */
  async heard(line: string): Promise<void> {
    if (this.#said.has(line)) return
    const heard = new Promise<void>((resolve) => {
      this.#lines.set(line, [...(this.#lines.get(line) ?? []), resolve])
    })
    const ended = this.exited.then(() => {
      if (!this.#said.has(line)) throw new Error(`The sender ended before "${line}": ${this.#complaint}`)
    })
    await Promise.race([heard, ended])
  }

  /** Resolves once it was given so many receipts, or has ended. */
  async given(receipts: number): Promise<void> {
    const enough = new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.receipts.size >= receipts) resolve()
      }
      this.#receiptListeners.push(look)
      look()
    })
    await Promise.race([enough, this.exited])
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  /** Has it send one more message. */
  more(): void {
    this.#child.stdin?.write('more\n')
  }

  /** Lets it close its mailer and end. */
  async end(): Promise<void> {
    this.#child.stdin?.end()
    await this.exited
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  #hear(line: string): void {
    const [kind, id = '', messageId = ''] = line.split(' ')
    if (kind === 'r') {
      this.receipts.set(id, messageId)
      for (const listener of this.#receiptListeners) listener()
    } else if (kind === 'e') {
      this.errors.push(id)
    }
    this.#said.add(line)
    for (const resolve of this.#lines.get(line) ?? []) resolve()
  }
}
