import path from 'node:path'
import type { BacklogMeasurement, BacklogConfig } from './backlog.js'
import type { RunConfig } from './childProtocol.js'
import type { Mode } from './modes.js'
import { runChild } from './processes.js'
import { overRounds, type Figures, figuresOf } from './report.js'
import { type BenchSettings, measure, runConfigOf, type Session, withSession } from './rounds.js'
import type { Workload } from './workload.js'

/** The cost of a message as a function of one factor, all others being equal. */
export interface Scaling {
  /** Name of the factor. */
  by: string
  /** Explanation for the reader. */
  note: string
  points: ScalingPoint[]
}

export interface ScalingPoint {
  /** Value of the factor, with its unit. */
  at: string
  mode: string
  figures: Figures
}

const memory = (threads: number): Mode => ({ name: `memory-${threads}`, family: 'memory', threads })
const PRECOMPILED: Mode = { name: 'precompiled', family: 'precompiled', threads: 0 }
const SQLITE: Mode = { name: 'sqlite-1', family: 'sqlite', threads: 1 }

const THREADS = [1, 2, 4]
/** Size of the attached file, in bytes. Base64 makes it a third larger in transit. */
const SIZES = [0, 15_000, 150_000, 1_500_000, 7_500_000]
const RECIPIENTS = [1, 10, 50]
/** Milliseconds per round trip. */
const LATENCIES = [0, 5, 50]
/** Waiting messages. */
const BACKLOGS = [0, 10_000, 100_000, 1_000_000]

type Step = [by: string, at: string, mode: Mode, change: Change]

/** Differences from the settings of the call. */
interface Change {
  workload?: Partial<Workload>
  latency?: number
  backlog?: number
}

const NOTES: Record<string, string> = {
  threads: 'The threads share the connections. More threads than idle cores make no difference.',
  'message size':
    'A receipt with an attached file. Sizes are those of the file; base64 makes it a third larger.',
  recipients: 'Recipients of one message, which is transmitted once for all of them.',
  'SMTP latency':
    'Latency added to each round trip to the server. Both modes have the same number of connections.',
  backlog:
    'Messages that wait in the SQLite file while others are delivered. Memory is measured when all of them wait.',
}

function steps(): Step[] {
  return [
    ...THREADS.map((count): Step => ['threads', `${count}`, memory(count), {}]),
    ...SIZES.map((attachment): Step => [
      'message size',
      size(attachment),
      memory(1),
      { workload: { attachment } },
    ]),
    ...RECIPIENTS.map((recipients): Step => [
      'recipients',
      `${recipients}`,
      memory(1),
      { workload: { recipients } },
    ]),
    ...LATENCIES.flatMap((latency): Step[] => [
      ['SMTP latency', `${latency} ms`, memory(1), { latency }],
      ['SMTP latency', `${latency} ms`, PRECOMPILED, { latency }],
    ]),
    ...BACKLOGS.map((backlog): Step => ['backlog', count(backlog), SQLITE, { backlog }]),
  ]
}

/** Time after which no further point is measured, in milliseconds. */
const TIME_LIMIT = 300_000

/** Measures each point once, in a new process, until the time limit. */
export async function runScaling(settings: BenchSettings): Promise<Scaling[]> {
  const all = steps()
  const start = performance.now()
  const results = new Map<string, ScalingPoint[]>()
  for (const [index, [by, at, mode, change]] of all.entries()) {
    if (performance.now() - start > TIME_LIMIT) break
    settings.progress?.(index, all.length, `${by}: ${at}, ${mode.name}`)
    const pointSettings = { ...settings, modes: [mode], latency: change.latency ?? settings.latency }
    const measured = await withSession(pointSettings, (session) => measurePoint(session, mode, change))
    const result = { at: measured.at ?? at, mode: mode.name, figures: measured.figures }
    results.set(by, [...(results.get(by) ?? []), result])
  }
  settings.progress?.(all.length, all.length, 'done')
  return [...results].map(([by, points]) => ({ by, note: NOTES[by] ?? '', points }))
}

async function measurePoint(
  session: Session,
  mode: Mode,
  { workload, backlog }: Change,
): Promise<{ figures: Figures; at?: string }> {
  if (backlog !== undefined) {
    const { figures, measurement } = await measureBacklog(session, backlog)
    return { figures, at: count(measurement.messages) }
  }
  const config: RunConfig = { ...runConfigOf(session, mode), http: 0 }
  config.workload = { ...config.workload, ...workload }
  return { figures: figuresOf([await measure(session, config)]) }
}

/** Measures delivery while `messages` messages wait in a SQLite file. */
export async function measureBacklog(
  { settings, environment, workload }: Session,
  messages: number,
): Promise<{ figures: Figures; measurement: BacklogMeasurement }> {
  const config: BacklogConfig = {
    transport: environment.transport,
    security: environment.security,
    workload,
    messages,
    seconds: settings.seconds,
    connections: settings.connections,
    file: path.join(environment.folder, `backlog-${messages}.db`),
  }
  const measurement = await runChild<BacklogMeasurement>('./backlog.js', config, { signal: settings.signal })
  const { rate, rss, cpuMain, cpuAll, loopP99 } = measurement
  const figures: Figures = {
    rate: overRounds([rate]),
    rss: overRounds([rss / 2 ** 20]),
    cpuAll: overRounds([cpuAll]),
    loopP99: overRounds([loopP99]),
  }
  if (cpuMain !== undefined) figures.cpuMain = overRounds([cpuMain])
  return { figures, measurement }
}

function size(bytes: number): string {
  if (bytes === 0) return 'none'
  return bytes < 1e6 ? `${bytes / 1000} KB` : `${bytes / 1e6} MB`
}

function count(value: number): string {
  return new Intl.NumberFormat('en-GB').format(value)
}
