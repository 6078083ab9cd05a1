import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Tool } from './prerequisites.mjs'

export interface PythonLeaf {
  type: string
  disposition: string | null
  filename: string | null
  cid: string | null
  method: string | null
  charset: string | null
  defects: string[]
  content: string | null
}

export interface PythonMail {
  headers: [name: string, value: string | { name: string; address: string }[]][]
  tree: string
  leaves: PythonLeaf[]
}

/** Python's email package, in one process for all messages. */
export class PythonParser {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  constructor({ command, args, env }: Tool) {
    const script = path.resolve(import.meta.dirname, 'parseMails.py')
    this.#process = spawn(command, [...args, script], { env: { ...process.env, ...env } })
    this.#process.stderr.pipe(process.stderr)
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  async parse(bytes: Buffer): Promise<PythonMail> {
    this.#process.stdin.write(`${bytes.toString('base64')}\n`)
    const { done, value } = await this.#lines.next()
    if (done === true) throw new Error('Python ended')
    return JSON.parse(value) as PythonMail
  }

  async close(): Promise<void> {
    this.#process.stdin.end()
    await once(this.#process, 'close')
  }
}
