/** The other end of the bench's processes. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ChildAnswer } from './order.js'

/** Kept of what a process says on stderr, for the reason why it failed. */
const LAST_WORDS = 2_000

function fileOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

/** The mode can't be measured here; the message says why. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}

export interface Asking<Note> {
  signal: AbortSignal | undefined
  note?: (note: Note) => void
}

/** Starts a process of ours, tells it what to do, and resolves with its answer once it has ended. */
export async function askChild<Answer, Note = never>(
  name: string,
  order: object,
  { signal, note }: Asking<Note>,
): Promise<Answer> {
  signal?.throwIfAborted()
  const child = fork(fileOf(name), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const kill = (): void => void child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  let words = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-LAST_WORDS)))
  const last: { answer?: ChildAnswer<Answer> } = {}
  child.on('message', (message: ChildAnswer<Answer> | { note: Note }) => {
    if ('note' in message) note?.(message.note)
    else last.answer = message
  })
  try {
    child.send(order)
    await once(child, 'close')
  } finally {
    signal?.removeEventListener('abort', kill)
    kill()
  }
  signal?.throwIfAborted()
  if (last.answer === undefined)
    throw new Unavailable(`its process ended early: ${words.trim().split('\n').at(-1) ?? ''}`)
  if ('failure' in last.answer) throw new Unavailable(last.answer.failure)
  return last.answer.measurement
}

/** A process that serves others: it prints its port when it is ready and ends when its standard input does. */
export interface Service {
  port: number
  pid: number | undefined
  /** Its next line, when asked with this one. */
  ask(line: string): Promise<string>
  close(): Promise<void>
}

export async function startService(name: string, args: readonly string[] = []): Promise<Service> {
  const child = spawn(process.execPath, [fileOf(name), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const line = async (): Promise<string> => {
    const [data] = (await once(child.stdout, 'data')) as [Buffer]
    return data.toString().trim()
  }
  return {
    port: Number(await line()),
    pid: child.pid,
    ask(question) {
      child.stdin.write(`${question}\n`)
      return line()
    },
    async close() {
      child.stdin.end()
      await ended(child)
    },
  }
}

/** Starts a program and resolves once something listens on the port. */
export async function startProgram(
  command: string,
  args: readonly string[],
  ready: () => Promise<boolean>,
): Promise<{ pid: number | undefined; close(): Promise<void> }> {
  const child = spawn(command, args, { stdio: 'ignore' })
  const problem: { error?: Error } = {}
  child.on('error', (error) => (problem.error = error))
  for (const deadline = Date.now() + 5_000; !(await ready());) {
    if (problem.error !== undefined || child.exitCode !== null || Date.now() > deadline) {
      child.kill()
      throw new Unavailable(`${command} does not start${problem.error ? `: ${problem.error.message}` : ''}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return {
    pid: child.pid,
    async close() {
      child.kill()
      await ended(child)
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
