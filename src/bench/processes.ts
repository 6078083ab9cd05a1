/** Starts the benchmark's child processes and talks to them. */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ChildAnswer } from './childProtocol.js'

/** Characters of a child's standard error to keep, to explain why it failed. */
const STDERR_TAIL = 2_000

function fileOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

/** A mode can't be measured on this machine; the message says why. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable'
}

export interface ChildOptions<Note> {
  signal: AbortSignal | undefined
  /** Called for each intermediate result of the child. */
  onNote?: (note: Note) => void
}

/**
 * Runs a task in a child process, and resolves with its result once the process has exited.
 * @throws Unavailable if the task fails or the process exits without a result
 */
export async function runChild<Answer, Note = never>(
  name: string,
  task: object,
  { signal, onNote }: ChildOptions<Note>,
): Promise<Answer> {
  signal?.throwIfAborted()
  const child = fork(fileOf(name), [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const kill = (): void => void child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  let stderr = ''
  child.stderr
    ?.setEncoding('utf8')
    .on('data', (text: string) => (stderr = (stderr + text).slice(-STDERR_TAIL)))
  const last: { answer?: ChildAnswer<Answer> } = {}
  child.on('message', (message: ChildAnswer<Answer> | { note: Note }) => {
    if ('note' in message) onNote?.(message.note)
    else last.answer = message
  })
  try {
    child.send(task)
    await once(child, 'close')
  } finally {
    signal?.removeEventListener('abort', kill)
    kill()
  }
  signal?.throwIfAborted()
  if (last.answer === undefined)
    throw new Unavailable(`the process exited early: ${stderr.trim().split('\n').at(-1) ?? ''}`)
  if ('failure' in last.answer) throw new Unavailable(last.answer.failure)
  return last.answer.measurement
}

/**
 * A child process that listens on a port: it prints the port when it is ready, and exits when its standard input
 * closes.
 */
export interface Service {
  port: number
  pid: number | undefined
  /** Sends a line to the process and resolves with its next line. */
  ask(line: string): Promise<string>
  close(): Promise<void>
}

/** @param input a first line for the process, as JSON: what must not be seen in its arguments */
export async function startService(
  name: string,
  args: readonly string[] = [],
  input?: object,
): Promise<Service> {
  const child = spawn(process.execPath, [fileOf(name), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  if (input !== undefined) child.stdin.write(`${JSON.stringify(input)}\n`)
  const nextLine = async (): Promise<string> => {
    const [data] = (await once(child.stdout, 'data')) as [Buffer]
    return data.toString().trim()
  }
  return {
    port: Number(await nextLine()),
    pid: child.pid,
    ask(line) {
      child.stdin.write(`${line}\n`)
      return nextLine()
    },
    async close() {
      child.stdin.end()
      await exited(child)
    },
  }
}

/**
 * Starts a program and resolves once `ready` does so with true.
 * @throws Unavailable if the program exits or is not ready within five seconds
 */
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
      await exited(child)
    },
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
