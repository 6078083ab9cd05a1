import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { type Service, startProgram, startService, Unavailable } from './processes.js'
import {
  createSecurity,
  describeSecurity,
  type Security,
  type SecurityChoice,
  startTlsFront,
} from './security.js'

/** Paths of optional programs on this machine. */
export interface Programs {
  smtpSink?: string
  smtpSource?: string
  redisServer?: string
}

export interface EnvironmentOptions {
  /** Latency to add to a round trip to the SMTP server, in milliseconds. */
  latency: number
  programs: Programs
  /** URL of the user's Redis server. */
  redis?: string
  /** URL of the user's SMTP server, instead of a sink. */
  server?: string
  needsRedis: boolean
  security: SecurityChoice
}

/** The servers that the measured processes connect to. */
export interface Environment {
  transport: string
  /** Settings with which a process signs its messages and connects. */
  security: Security
  /** Description of the SMTP server. */
  sink: string
  /** URL of the Redis server. */
  redis?: string
  redisDescription?: string
  /** Folder for files of the run. */
  folder: string
  close(): Promise<void>
}

const BUILT_IN_SINK = "threadpost's own sink process"

export async function createEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const closing: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const closeOne of closing.reverse()) await closeOne()
  }
  try {
    const folder = await makeFolder()
    closing.push(() => rm(folder, { recursive: true, force: true }))
    const security = createSecurity(options.security)
    const sink = options.server === undefined ? await startSink(options) : undefined
    if (sink !== undefined) closing.push(() => sink.close())
    let port = sink?.port ?? 0
    if (options.security.tls && sink !== undefined) {
      const { front, ca } = await startTlsFront(port)
      closing.push(() => front.close())
      port = front.port
      security.ca = ca
    }
    if (options.latency > 0 && sink !== undefined) {
      const delay = await startService('./latencyProxy.js', ['127.0.0.1', `${port}`, `${options.latency}`])
      closing.push(() => delay.close())
      port = delay.port
    }
    const scheme = options.security.tls ? 'smtps' : 'smtp'
    const environment: Environment = {
      transport: options.server ?? `${scheme}://127.0.0.1:${port}`,
      security,
      sink: describeSink(options, sink?.description),
      folder,
      close,
    }
    if (options.redis !== undefined) {
      environment.redis = options.redis
      environment.redisDescription = 'your Redis server'
    } else if (options.needsRedis && options.programs.redisServer !== undefined) {
      const redis = await startRedis(options.programs.redisServer)
      closing.push(() => redis.close())
      environment.redis = `redis://127.0.0.1:${redis.port}`
      environment.redisDescription = 'Redis on loopback, without persistence'
    }
    return environment
  } catch (error) {
    await close()
    throw error
  }
}

function describeSink({ latency, server, security }: EnvironmentOptions, sink: string | undefined): string {
  const secured = describeSecurity(security)
  const suffix = secured === undefined ? '' : `; ${secured}`
  if (server !== undefined) return `your SMTP server, ${new URL(server).host}${suffix}`
  const location = latency === 0 ? 'on loopback' : `with ${latency} ms of latency per round trip`
  return `${sink ?? BUILT_IN_SINK} ${location}, on the same machine${suffix}`
}

interface Sink {
  port: number
  description: string
  close(): Promise<void>
}

/**
 * Starts Postfix's smtp-sink where it is installed, because it uses the least CPU; otherwise the built-in sink, which also accepts
 * a login.
 */
async function startSink({ programs: { smtpSink }, security }: EnvironmentOptions): Promise<Sink> {
  if (smtpSink === undefined || security.auth)
    return { ...(await startBuiltInSink()), description: BUILT_IN_SINK }
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  try {
    const program = await startProgram(smtpSink, [...user, `127.0.0.1:${port}`, '1000'], () => accepts(port))
    return { port, description: "Postfix's smtp-sink", close: () => program.close() }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    return { ...(await startBuiltInSink()), description: `${BUILT_IN_SINK} (${error.message})` }
  }
}

export function startBuiltInSink(): Promise<Service> {
  return startService('./sink.js')
}

async function startRedis(program: string): Promise<{ port: number; close(): Promise<void> }> {
  const port = await freePort()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const redis = await startProgram(program, args, () => accepts(port))
  return { port, close: () => redis.close() }
}

/** Creates a folder in the current one: the system's temporary folder is often in memory, where a commit is free. */
async function makeFolder(): Promise<string> {
  const prefix = '.threadpost-bench-'
  return mkdtemp(path.resolve(prefix)).catch(() => mkdtemp(path.join(tmpdir(), prefix)))
}

/** Returns a port on loopback that no server listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Whether a server listens on the port. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Returns the path of a program in the first of the folders that contains it; undefined if none does. */
export async function findProgram(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const file = path.join(folder, name)
    if (
      path.isAbsolute(folder) &&
      (await access(file).then(
        () => true,
        () => false,
      ))
    )
      return file
  }
  return undefined
}

const run = promisify(execFile)
/** Messages of the run that estimates the rate. */
const ESTIMATE = 1_000

interface SourceConfig {
  program: string
  transport: string
  connections: number
  /** Size of one message. */
  bytes: number
  seconds: number
  signal: AbortSignal | undefined
}

/**
 * Returns the messages per second of Postfix's smtp-source, which renders nothing and sends the same bytes every
 * time.
 */
export async function runSmtpSource(config: SourceConfig): Promise<number> {
  const rate = await runSource(config, ESTIMATE)
  return runSource(config, Math.max(ESTIMATE, Math.round(rate * config.seconds)))
}

async function runSource(
  { program, transport, connections, bytes, signal }: SourceConfig,
  messages: number,
): Promise<number> {
  const { hostname, port } = new URL(transport)
  const args = ['-d', '-s', `${connections}`, '-m', `${messages}`, '-l', `${bytes}`]
  const mail = ['-f', 'bench@bench.example', '-t', 'user@bench.example']
  const start = performance.now()
  try {
    await run(program, [...args, ...mail, `${hostname}:${port === '' ? 25 : port}`], {
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw new Unavailable(
      `${program}: ${(error as Error).message.split('\n')[1] ?? (error as Error).message}`,
    )
  }
  return messages / ((performance.now() - start) / 1000)
}
