import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { type Service, startProgram, startService, Unavailable } from './processes.js'

/** Programs that may be on a machine, by path. */
export interface Programs {
  smtpSink?: string
  smtpSource?: string
  redisServer?: string
}

export interface EnvironmentOptions {
  /** Milliseconds that a round trip to the SMTP server takes longer. */
  latency: number
  programs: Programs
  /** A Redis of the user's own. */
  redis?: string
  /** An SMTP server of the user's own, in place of a sink. */
  server?: string
  needsRedis: boolean
}

/** What the measured processes talk to. */
export interface Environment {
  transport: string
  /** In words. */
  sink: string
  redis?: string
  redisInWords?: string
  /** For files of the run; on a real disk if the current folder is. */
  folder: string
  close(): Promise<void>
}

const OWN_SINK = 'a sink process of threadpost'

export async function createEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const closing: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const one of closing.reverse()) await one()
  }
  try {
    const folder = await makeFolder()
    closing.push(() => rm(folder, { recursive: true, force: true }))
    const sink = options.server === undefined ? await startSink(options.programs) : undefined
    if (sink !== undefined) closing.push(() => sink.close())
    let transport = options.server ?? `smtp://127.0.0.1:${sink?.port ?? 0}`
    if (options.latency > 0 && sink !== undefined) {
      const delay = await startService('./delay.js', ['127.0.0.1', `${sink.port}`, `${options.latency}`])
      closing.push(() => delay.close())
      transport = `smtp://127.0.0.1:${delay.port}`
    }
    const stage: Environment = { transport, sink: sinkInWords(options, sink?.words), folder, close }
    if (options.redis !== undefined) {
      stage.redis = options.redis
      stage.redisInWords = 'a Redis of your own'
    } else if (options.needsRedis && options.programs.redisServer !== undefined) {
      const redis = await startRedis(options.programs.redisServer)
      closing.push(() => redis.close())
      stage.redis = `redis://127.0.0.1:${redis.port}`
      stage.redisInWords = 'Redis on loopback, which keeps nothing on disk'
    }
    return stage
  } catch (error) {
    await close()
    throw error
  }
}

function sinkInWords({ latency, server }: EnvironmentOptions, sink: string | undefined): string {
  if (server !== undefined) return `an SMTP server of your own, ${new URL(server).host}`
  const line = latency === 0 ? 'on loopback' : `behind a line with ${latency} ms for each round trip`
  return `${sink ?? OWN_SINK} ${line}, on the same machine`
}

interface Sink {
  port: number
  words: string
  close(): Promise<void>
}

/** Postfix's smtp-sink where there is one, for it costs the least; else ours. */
async function startSink({ smtpSink }: Programs): Promise<Sink> {
  if (smtpSink === undefined) return { ...(await ownSink()), words: OWN_SINK }
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  try {
    const program = await startProgram(smtpSink, [...user, `127.0.0.1:${port}`, '1000'], () => answers(port))
    return { port, words: "Postfix's smtp-sink", close: () => program.close() }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    return { ...(await ownSink()), words: `${OWN_SINK} (${error.message})` }
  }
}

export function ownSink(): Promise<Service> {
  return startService('./sink.js')
}

async function startRedis(program: string): Promise<{ port: number; close(): Promise<void> }> {
  const port = await freePort()
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const redis = await startProgram(program, args, () => answers(port))
  return { port, close: () => redis.close() }
}

/** In the current folder, since that of temporary files often is in memory, where a commit costs nothing. */
async function makeFolder(): Promise<string> {
  const prefix = '.threadpost-bench-'
  return mkdtemp(path.resolve(prefix)).catch(() => mkdtemp(path.join(tmpdir(), prefix)))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answers(port: number): Promise<boolean> {
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

/** The first of the folders that has the program. */
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
const TRIAL = 1_000

interface SourceOrder {
  program: string
  transport: string
  connections: number
  /** Of one message. */
  bytes: number
  seconds: number
  signal: AbortSignal | undefined
}

/** Messages a second of Postfix's smtp-source, which renders nothing and sends the same bytes again and again. */
export async function runSmtpSource(order: SourceOrder): Promise<number> {
  const trial = await send(order, TRIAL)
  return send(order, Math.max(TRIAL, Math.round(trial * order.seconds)))
}

async function send(
  { program, transport, connections, bytes, signal }: SourceOrder,
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
