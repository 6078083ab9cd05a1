import { cpus, platform, release } from 'node:os'
import path from 'node:path'
import { ThreadpostError } from '../errors.js'
import { ownSink, type Programs, runSmtpSource, createEnvironment, type Environment } from './environment.js'
import { type Figure, figuresOf, overRounds } from './figures.js'
import { MEANINGS, type Mode } from './modes.js'
import type { Measurement, Parts, RunOrder, Workload } from './order.js'
import { askChild, Unavailable } from './processes.js'
import type { BenchReport, Conditions, ModeResult } from './report.js'
import { verdictOf } from './summary.js'
import { writeW1 } from './workload.js'

export interface BenchSettings {
  modes: Mode[]
  /** At most. */
  rounds: number
  /** Seconds: a round that would not end within them is not begun, but for the first. @default no limit */
  budget?: number
  /** Of each of the measured phases of a run. */
  seconds: number
  /** A phase ends after so many, if that comes first. */
  messages?: number
  /** Mails a second; else as fast as possible. */
  rate?: number
  /** Requests a second to a route of the same process; 0 is none. */
  http: number
  connections: number
  /** Milliseconds of a round trip. */
  latency: number
  batch: number
  /** @default W1 */
  workload?: Workload
  programs: Programs
  redis?: string
  server?: string
  /** Sender and recipient there, in the place of made-up ones. */
  addresses?: { from: string; to: string }
  signal?: AbortSignal
  progress?: Progress
}

/** Told before each step: how many are done, of how many, and what comes now. */
export type Progress = (done: number, of: number, now: string) => void

/** What the sessions of one call have in common. */
export interface Session {
  settings: BenchSettings
  stage: Environment
  workload: Workload
  parts: Parts
  /** Of one message as it crosses the line. */
  bytes: number
}

/** Sets the stage, tries the workload out, and lets `work` measure. */
export async function withSession<T>(
  settings: BenchSettings,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const { latency, programs, redis, server, modes } = settings
  const needsRedis = modes.some(({ family }) => family === 'redis' || family === 'bullmq')
  const stage = await createEnvironment({
    latency,
    programs,
    needsRedis,
    ...(redis === undefined ? {} : { redis }),
    ...(server === undefined ? {} : { server }),
  })
  try {
    const workload = { ...(settings.workload ?? (await writeW1(stage.folder))), ...settings.addresses }
    return await work({ settings, stage, workload, ...(await tryOut(workload, settings.signal)) })
  } finally {
    await stage.close()
  }
}

/** Renders the workload and sends it once to a sink of ours: what is wrong with it is said here. */
async function tryOut(
  workload: Workload,
  signal: AbortSignal | undefined,
): Promise<{ parts: Parts; bytes: number }> {
  const sink = await ownSink()
  try {
    const transport = `smtp://127.0.0.1:${sink.port}`
    const parts = await askChild<Parts>('./trial.js', { workload, transport }, { signal })
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

/** Each mode in a fresh process, the modes taking turns in each round so that drift of the machine hits all alike. */
export async function runRounds(session: Session): Promise<BenchReport> {
  const { modes, rounds, budget, progress } = session.settings
  let measured = 0
  const runs = new Map<Mode, Measurement[]>()
  const sourceRates: number[] = []
  const left = new Map<Mode, string>()
  const start = performance.now()
  let done = 0
  for (let round = 0; round < rounds && fits(round, start, budget); round++) {
    measured = round + 1
    for (const mode of modes) {
      progress?.(done++, rounds * modes.length, `round ${round + 1} of ${rounds}: ${mode.name}`)
      if (left.has(mode)) continue
      try {
        if (mode.family === 'smtp-source') sourceRates.push(await source(session))
        else runs.set(mode, [...(runs.get(mode) ?? []), await runOnce(session, mode)])
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error
        left.set(mode, error.message)
      }
    }
  }
  progress?.(done, done, 'done')
  const results = modes.flatMap((mode): ModeResult[] => {
    if (mode.family === 'smtp-source')
      return sourceRates.length === 0 ? [] : [rateOnly(mode, overRounds(sourceRates))]
    const ofMode = runs.get(mode)
    return ofMode === undefined ? [] : [resultOf(mode, ofMode)]
  })
  return {
    conditions: conditionsOf(session, measured),
    modes: results,
    left: [...left].map(([{ name }, reason]) => ({ mode: name, reason })),
    verdict: verdictOf(results),
  }
}

/** As far as the rounds before tell. */
function fits(round: number, start: number, budget: number | undefined): boolean {
  if (budget === undefined || round === 0) return true
  const spent = (performance.now() - start) / 1000
  return spent + spent / round <= budget
}

export function orderOf({ settings, stage, workload, parts }: Session, mode: Mode): RunOrder {
  const { connections, seconds, messages, rate, http, batch } = settings
  return {
    mode,
    transport: stage.transport,
    connections,
    workload,
    parts,
    seconds,
    http,
    batch,
    file: path.join(stage.folder, `${mode.name}-${Date.now()}.db`),
    ...(messages === undefined ? {} : { messages }),
    ...(rate === undefined ? {} : { rate }),
    ...(stage.redis === undefined ? {} : { redis: stage.redis }),
  }
}

async function runOnce(session: Session, mode: Mode): Promise<Measurement> {
  if ((mode.family === 'redis' || mode.family === 'bullmq') && session.stage.redis === undefined)
    throw new Unavailable('there is no Redis: name one with --redis, or install redis-server')
  return measure(session, orderOf(session, mode))
}

export function measure({ settings }: Session, order: RunOrder): Promise<Measurement> {
  return askChild<Measurement>('./child.js', order, { signal: settings.signal })
}

async function source({ settings, stage, bytes }: Session): Promise<number> {
  const { programs, connections, seconds, signal } = settings
  if (programs.smtpSource === undefined)
    throw new Unavailable('there is no smtp-source (it comes with Postfix)')
  return runSmtpSource({
    program: programs.smtpSource,
    transport: stage.transport,
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

function conditionsOf({ settings, stage, workload, bytes }: Session, rounds: number): Conditions {
  const { seconds, messages, connections, rate, http, latency, batch } = settings
  return {
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    platform: `${platform()} ${release()}`,
    date: new Date().toISOString(),
    sink: stage.sink,
    ...(stage.redisInWords === undefined ? {} : { redis: stage.redisInWords }),
    workload: workload.title,
    bytes,
    rounds,
    seconds,
    ...(messages === undefined ? {} : { messages }),
    connections,
    ...(rate === undefined ? {} : { rate }),
    http,
    latency,
    batch,
  }
}
