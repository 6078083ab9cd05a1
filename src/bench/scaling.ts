import path from 'node:path'
import type { BacklogMeasurement, BacklogOrder } from './backlog.js'
import { overRounds, type Figures, figuresOf } from './figures.js'
import type { Mode } from './modes.js'
import type { RunOrder, Workload } from './order.js'
import { askChild } from './processes.js'
import { type BenchSettings, measure, orderOf, type Session, withSession } from './rounds.js'

/** How the cost of a mail follows one thing, all else being equal. */
export interface Scaling {
  /** What was changed. */
  by: string
  /** What to know when reading it. */
  note: string
  points: ScalingPoint[]
}

export interface ScalingPoint {
  /** With its unit. */
  at: string
  mode: string
  figures: Figures
}

const memory = (threads: number): Mode => ({ name: `memory-${threads}`, family: 'memory', threads })
const PRECOMPILED: Mode = { name: 'precompiled', family: 'precompiled', threads: 0 }
const SQLITE: Mode = { name: 'sqlite-1', family: 'sqlite', threads: 1 }

const THREADS = [1, 2, 4]
/** Bytes of a file attached to a mail of some 2 KB; it grows by a third on the line. */
const SIZES = [0, 15_000, 150_000, 1_500_000, 7_500_000]
const RECIPIENTS = [1, 10, 50]
const LATENCIES = [0, 5, 50]
const BACKLOGS = [0, 10_000, 100_000, 1_000_000]

type Step = [by: string, at: string, mode: Mode, change: Change]
interface Change {
  workload?: Partial<Workload>
  latency?: number
  backlog?: number
}

const NOTES: Record<string, string> = {
  threads: 'Connections are shared among the threads. More threads than idle cores bring nothing.',
  'message size': 'A receipt with a file attached: bytes of the file, before it grows by a third in base64.',
  recipients: 'Of one mail; it crosses the line once for all of them.',
  'SMTP latency':
    'How much longer a round trip to the server takes; the same number of connections for both.',
  backlog: 'Messages that wait in the SQLite file while others are delivered; memory after taking them in.',
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

/** Milliseconds after which no further point is begun. */
const PATIENCE = 300_000

/** Measures each point once, in a fresh process; on a machine too slow for all, as many as there is time for. */
export async function runScaling(settings: BenchSettings): Promise<Scaling[]> {
  const all = steps()
  const start = performance.now()
  const found = new Map<string, ScalingPoint[]>()
  for (const [index, [by, at, mode, change]] of all.entries()) {
    if (performance.now() - start > PATIENCE) break
    settings.progress?.(index, all.length, `${by}: ${at}, ${mode.name}`)
    const here = { ...settings, modes: [mode], latency: change.latency ?? settings.latency }
    const measured = await withSession(here, (session) => point(session, mode, change))
    const one = { at: measured.at ?? at, mode: mode.name, figures: measured.figures }
    found.set(by, [...(found.get(by) ?? []), one])
  }
  settings.progress?.(all.length, all.length, 'done')
  return [...found].map(([by, points]) => ({ by, note: NOTES[by] ?? '', points }))
}

async function point(
  session: Session,
  mode: Mode,
  { workload, backlog }: Change,
): Promise<{ figures: Figures; at?: string }> {
  if (backlog !== undefined) {
    const { run, measurement } = await measureBacklog(session, backlog)
    return { figures: run, at: count(measurement.messages) }
  }
  const order: RunOrder = { ...orderOf(session, mode), http: 0 }
  order.workload = { ...order.workload, ...workload }
  return { figures: figuresOf([await measure(session, order)]) }
}

/** What it costs to have so many waiting in a SQLite file. */
export async function measureBacklog(
  { settings, stage, workload }: Session,
  messages: number,
): Promise<{ run: Figures; measurement: BacklogMeasurement }> {
  const order: BacklogOrder = {
    transport: stage.transport,
    workload,
    messages,
    seconds: settings.seconds,
    connections: settings.connections,
    file: path.join(stage.folder, `backlog-${messages}.db`),
  }
  const measurement = await askChild<BacklogMeasurement>('./backlog.js', order, { signal: settings.signal })
  const { rate, rss, cpuMain, cpuAll, loopP99 } = measurement
  const run: Figures = {
    rate: overRounds([rate]),
    rss: overRounds([rss / 2 ** 20]),
    cpuAll: overRounds([cpuAll]),
  }
  run.loopP99 = overRounds([loopP99])
  if (cpuMain !== undefined) run.cpuMain = overRounds([cpuMain])
  return { run, measurement }
}

function size(bytes: number): string {
  if (bytes === 0) return 'none'
  return bytes < 1e6 ? `${bytes / 1000} KB` : `${bytes / 1e6} MB`
}

function count(value: number): string {
  return new Intl.NumberFormat('en-GB').format(value)
}
