// Runs before each test file: a file that ends with a thread, a socket, a server or a child process of its own fails, and so
// does one in which Node warned of listeners that were never removed.
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { afterAll } from 'vitest'

/** Milliseconds after which what is still open counts as never closed. */
const PATIENCE = 120_000

/** A Socket, Server or ChildProcess, or something of Node's own. */
interface Handle {
  address?: () => unknown
  localPort?: number | undefined
  remoteAddress?: string | undefined
  remotePort?: number | undefined
  spawnargs?: string[]
}

const handles = () => (process as unknown as { _getActiveHandles(): Handle[] })._getActiveHandles()

// Vitest's own channel and the standard streams.
const baseline = new Set(handles())
// The list of active handles leaves out what was unref'd, as idle pools do; these two don't.
const workers = new Set<Worker>()
const sockets = new Set<Socket>()

process.on('worker', (worker) => {
  workers.add(worker)
  worker.once('exit', () => workers.delete(worker))
})
for (const channel of ['net.client.socket', 'net.server.socket']) {
  subscribe(channel, (message) => {
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
}

const warnings: string[] = []
process.on('warning', ({ name, message }) => {
  if (name === 'MaxListenersExceededWarning') warnings.push(message)
})

function nameOf(handle: Handle): string | undefined {
  switch (handle.constructor.name) {
    case 'Server':
      return `a server on ${JSON.stringify(handle.address?.())}`
    case 'Socket':
    case 'TLSSocket':
      if (handle.remotePort === undefined) return undefined
      return `a socket from port ${handle.localPort} to ${handle.remoteAddress}:${handle.remotePort}`
    case 'ChildProcess':
      return `a child process: ${handle.spawnargs?.join(' ')}`
    default:
      return undefined
  }
}

/** A socket whose handle TLS took over, and closed, never tells that it is closed. */
const isHollow = (socket: Socket) => (socket as unknown as { _handle: unknown })._handle === null

function leaks(): string[] {
  const open = new Set<Handle>([...handles(), ...[...sockets].filter((socket) => !isHollow(socket))])
  const names = [...open].filter((handle) => !baseline.has(handle)).flatMap((handle) => nameOf(handle) ?? [])
  return [...names, ...[...workers].map((worker) => `worker thread ${worker.threadId}`)]
}

afterAll(async () => {
  const deadline = Date.now() + PATIENCE
  while (leaks().length > 0 && Date.now() < deadline) await sleep(20)
  const left = leaks()
  if (left.length > 0) throw new Error(`Still open when the tests of this file had ended: ${left.join('; ')}`)
  if (warnings.length > 0) throw new Error(`Node warned: ${warnings.join('; ')}`)
}, PATIENCE * 2)
