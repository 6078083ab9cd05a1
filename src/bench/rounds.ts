import { cpus, platform, release } from 'node:os'
import path from 'node:path'
import { ThreadpostError } from '../errors.js'
import type { ChildTask, Measurement, RunConfig } from './childProtocol.js'
import {
  createEnvironment,
  type Environment,
  type Programs,
  runSmtpSource,
  startBuiltInSink,
} from './environment.js'
import { MEANINGS, type Mode } from './modes.js'
import { MAX_SPREAD, spreadOf } from './noise.js'
import { runChild, Unavailable } from './processes.js'
import {
  type BenchReport,
  type Conditions,
  type Figure,
  figuresOf,
  type ModeResult,
  overRounds,
} from './report.js'
import type { SecurityChoice } from './security.js'
import { type Parts, type Workload, writeW1 } from './workload.js'

export interface BenchSettings {
  modes: Mode[]
  /** Maximum number of rounds. */
  rounds: number
  /** Time limit in seconds: a round starts only if it would end in time. The first always runs. @default no limit */
  budget?: number
  /** Length of each measured phase, in seconds. */
  seconds: number
  /** Ends a phase early, after this many messages. @default no limit */
  messages?: number
  /** Messages per second. @default as fast as possible */
  rate?: number
  /** Requests per second to a route of the same process; 0 sends none. */
  http: number
  connections: number
  /** Latency to add to a round trip, in milliseconds. */
  latency: number
  /** TLS, a login, and a signature. @default none */
  security?: SecurityChoice
  /** Messages per call. */
  batch: number
  /** @default W1 */
  workload?: Workload
  programs: Programs
  /** URL of the user's Redis server. */
  redis?: string
  /** URL of the user's SMTP server. */
  server?: string
  /** Sender and recipient for that server, instead of made-up ones. */
  addresses?: { from: string; to: string }
  signal?: AbortSignal
  progress?: Progress
}

/** Called before each step with the number of finished steps, the total, and a description of the step. */
export type Progress = (done: number, total: number, step: string) => void

/** The shared state of all measurements of one call. */
export interface Session {
  settings: BenchSettings
  environment: Environment
  workload: Workload
  parts: Parts
  /** Size of one message as the server receives it. */
  bytes: number
}

/** Starts the servers, tries the workload, and runs `work`. */
export async function withSession<T>(
  settings: BenchSettings,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { latency, programs, redis, server, modes } = settings
  const environment = await createEnvironment({
    latency,
    programs,
    security: settings.security ?? { tls: false, auth: false },
    needsRedis: modes.some(needsRedis),
    ...(redis === undefined ? {} : { redis }),
    ...(server === undefined ? {} : { server }),
  })
  try {
    const workload = {
      ...(settings.workload ?? (await writeW1(environment.folder))),
      ...settings.addresses,
    }
    const trial = await tryWorkload(workload, settings.signal)
    return await work({ settings, environment, workload, ...trial })
  } finally {
    await environment.close()
  }
}

/**
 * Renders the workload and sends it once to the built-in sink.
 * @throws ThreadpostError `INVALID_OPTIONS` if that fails
 */
async function tryWorkload(
  workload: Workload,
  signal: AbortSignal | undefined,
): Promise<{ parts: Parts; bytes: number }> {
  const sink = await startBuiltInSink()
  try {
    const transport = `smtp://127.0.0.1:${sink.port}`
    const task: ChildTask = { task: 'trial', config: { workload, transport } }
    const parts = await runChild<Parts>('./child.js', task, { signal })
    const { bytes } = JSON.parse(await sink.ask('')) as { bytes: number }
    return { parts, bytes }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    throw new ThreadpostError('INVALID_OPTIONS', `The template can't be sent: ${error.message}`, {
      cause: error,
    })
  } finally {
    await sink.close()
  }
}

/** The figures of all rounds, which have not been judged yet. */
export type RoundsResult = Pick<BenchReport, 'conditions' | 'modes' | 'left'>

/**
 * Measures each mode in a new process. The modes alternate in each round, so that drift of the machine affects all
 * alike.
 * @param mayRepeat whether rounds that disagree are repeated
 */
export async function runRounds(session: Session, mayRepeat: boolean): Promise<RoundsResult> {
  const { modes, rounds, budget, progress } = session.settings
  const runs = new Map<Mode, Measurement[]>()
  const sourceRates: number[] = []
  const omitted = new Map<Mode, string>()
  const start = performance.now()
  let done = 0
  const runRound = async (round: number): Promise<void> => {
    const total = Math.max(rounds, round + 1)
    for (const mode of modes) {
      progress?.(done++, total * modes.length, `round ${round + 1} of ${total}: ${mode.name}`)
      if (omitted.has(mode)) continue
      try {
        if (mode.family === 'smtp-source') sourceRates.push(await measureSource(session))
        else runs.set(mode, [...(runs.get(mode) ?? []), await measureMode(session, mode)])
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        omitted.set(mode, error.message)
      }
    }
  }
  let planned = 0
  while (planned < rounds && fitsBudget(planned, start, budget)) await runRound(planned++)
  let repeats = 0
  while (mayRepeat && repeats < MOST_REPEATS && disagree(runs)) await runRound(planned + repeats++)
  progress?.(done, done, 'done')
  const results = modes.flatMap((mode): ModeResult[] => {
    if (mode.family === 'smtp-source')
      return sourceRates.length === 0 ? [] : [rateOnly(mode, overRounds(sourceRates))]
    const ofMode = runs.get(mode)
    return ofMode === undefined ? [] : [resultOf(mode, closest(ofMode, planned))]
  })
  return {
    conditions: conditionsOf(session, planned, repeats),
    modes: results,
    left: [...omitted].map(([{ name }, reason]) => ({ mode: name, reason })),
  }
}

/** Rounds that are added while the rounds of a mode disagree, also beyond the time limit. */
const MOST_REPEATS = 2

function disagree(runs: ReadonlyMap<Mode, readonly Measurement[]>): boolean {
  return [...runs.values()].some((all) => spreadOf(overRounds(all.map(({ mail }) => mail.rate))) > MAX_SPREAD)
}

/** Returns the runs whose rates are closest to the median, so that a repeated round replaces the one that was disturbed. */
function closest(runs: readonly Measurement[], count: number): Measurement[] {
  const { median } = overRounds(runs.map(({ mail }) => mail.rate))
  const distance = ({ mail }: Measurement): number => Math.abs(mail.rate - median)
  return runs.toSorted((a, b) => distance(a) - distance(b)).slice(0, count)
}

/** Estimates from the previous rounds whether another one ends within the budget. */
function fitsBudget(round: number, start: number, budget: number | undefined): boolean {
  if (budget === undefined || round === 0) return true
  const spent = (performance.now() - start) / 1000
  return spent + spent / round <= budget
}

export function runConfigOf({ settings, environment, workload, parts }: Session, mode: Mode): RunConfig {
  const { connections, seconds, messages, rate, http, batch } = settings
  return {
    mode,
    transport: environment.transport,
    security: environment.security,
    connections,
    workload,
    parts,
    seconds,
    http,
    batch,
    file: path.join(environment.folder, `${mode.name}-${Date.now()}.db`),
    ...(messages === undefined ? {} : { messages }),
    ...(rate === undefined ? {} : { rate }),
    ...(environment.redis === undefined ? {} : { redis: environment.redis }),
  }
}

function needsRedis({ family }: Mode): boolean {
  return family === 'redis' || family === 'bullmq'
}

async function measureMode(session: Session, mode: Mode): Promise<Measurement> {
  if (needsRedis(mode) && session.environment.redis === undefined)
    throw new Unavailable('no Redis server was found: pass --redis, or install redis-server')
  return measure(session, runConfigOf(session, mode))
}

export function measure({ settings }: Session, config: RunConfig): Promise<Measurement> {
  const task: ChildTask = { task: 'measure', config }
  return runChild<Measurement>('./child.js', task, { signal: settings.signal })
}

async function measureSource({ settings, environment, bytes }: Session): Promise<number> {
  if (settings.security?.tls === true || settings.security?.auth === true)
    throw new Unavailable('smtp-source speaks neither TLS nor AUTH')
  const { programs, connections, seconds, signal } = settings
  if (programs.smtpSource === undefined)
    throw new Unavailable('smtp-source was not found (it is part of Postfix)')
  return runSmtpSource({
    program: programs.smtpSource,
    transport: environment.transport,
    connections,
    bytes,
    seconds,
    signal,
  })
}

function rateOnly(mode: Mode, rate: Figure): ModeResult {
  return { mode, meaning: MEANINGS[mode.family], figures: { rate } }
}

function resultOf(mode: Mode, runs: Measurement[]): ModeResult {
  const byRate = runs.toSorted((a, b) => a.mail.rate - b.mail.rate)
  const middle = byRate[Math.floor(byRate.length / 2)]
  const result: ModeResult = { mode, meaning: MEANINGS[mode.family], figures: figuresOf(runs) }
  if (middle === undefined) return result
  const { alone, mail, idle, both } = middle
  result.curves = {
    alone: alone.delivery,
    send: alone.send,
    delivery: mail.delivery,
    loopOverTime: mail.loopOverTime,
    ...(idle.http === undefined ? {} : { httpIdle: idle.http }),
    ...(both === undefined ? {} : { http: both.http }),
  }
  return result
}

function conditionsOf(
  { settings, environment, workload, bytes }: Session,
  rounds: number,
  repeats: number,
): Conditions {
  const { seconds, messages, connections, rate, http, latency, batch } = settings
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    platform: `${platform()} ${release()}`,
    date: new Date().toISOString(),
    sink: environment.sink,
    ...(environment.redisDescription === undefined ? {} : { redis: environment.redisDescription }),
    workload: workload.title,
    bytes,
    rounds,
    ...(repeats === 0 ? {} : { repeats }),
    seconds,
    ...(messages === undefined ? {} : { messages }),
    connections,
    ...(rate === undefined ? {} : { rate }),
    http,
    latency,
    batch,
  }
}
