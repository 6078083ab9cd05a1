import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Measurement } from './measure.js'
import { W1_DATA, W1_TEMPLATE } from './w1.js'

/** What a measured process is told. */
export interface RunOrder {
  transport: string
  templates: string
  template: string
  data: object
  threads: number
  messages: number
}

export interface BenchSettings {
  /** Worker threads of each mode; 0 is inline. */
  threads: number[]
  messages: number
  rounds: number
  /** A template and its data in place of W1. */
  workload?: { templates: string; template: string; data: object }
  progress?(done: number, of: number): void
}

export interface ModeResult extends Measurement {
  mode: string
  threads: number
  /** Slowest and fastest round, in messages a second. */
  spread: [number, number]
}

export interface BenchReport {
  conditions: {
    node: string
    cpu: string
    cpus: number
    sink: string
    workload: string
    messages: number
    rounds: number
  }
  /** The median round of each mode. */
  modes: ModeResult[]
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const run = promisify(execFile)

/** Each mode in a fresh process, the modes taking turns in each round so that drift of the machine hits all alike. */
export async function runBench(settings: BenchSettings): Promise<BenchReport> {
  const { threads, messages, rounds } = settings
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-bench-'))
  const sink = spawn(process.execPath, [here('./sink.js')], { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    const transport = `smtp://127.0.0.1:${await portOf(sink)}`
    const workload = settings.workload ?? (await writeW1(folder))
    const measured = new Map<number, Measurement[]>(threads.map((count) => [count, []]))
    let done = 0
    for (let round = 0; round < rounds; round++) {
      for (const count of threads) {
        const order: RunOrder = { ...workload, transport, threads: count, messages }
        const { stdout } = await run(process.execPath, [here('./child.js'), JSON.stringify(order)], {
          maxBuffer: 2 ** 24,
        })
        measured.get(count)?.push(JSON.parse(stdout) as Measurement)
        settings.progress?.(++done, rounds * threads.length)
      }
    }
    return {
      conditions: {
        node: process.version,
        cpu: cpus()[0]?.model ?? 'unknown',
        cpus: cpus().length,
        sink: 'a sink process of threadpost on loopback, on the same machine',
        workload:
          settings.workload === undefined
            ? 'W1 (receipt, 14 KB of HTML with a text part)'
            : workload.template,
        messages,
        rounds,
      },
      modes: [...measured].map(([count, list]) => median(count, list)),
    }
  } finally {
    sink.stdin.end()
    await rm(folder, { recursive: true, force: true })
  }
}

function median(threads: number, measurements: Measurement[]): ModeResult {
  const sorted = measurements.toSorted((a, b) => a.rate - b.rate)
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (middle === undefined) throw new Error('nothing was measured')
  return {
    mode: threads === 0 ? 'inline (threads: 0)' : `threads: ${threads}`,
    threads,
    ...middle,
    spread: [sorted[0]?.rate ?? 0, sorted.at(-1)?.rate ?? 0],
  }
}

async function portOf(sink: ChildProcess): Promise<number> {
  if (sink.stdout === null) throw new Error('the sink has no output')
  const [line] = (await once(sink.stdout, 'data')) as [Buffer]
  return Number(line.toString())
}

async function writeW1(folder: string): Promise<{ templates: string; template: string; data: object }> {
  await writeFile(path.join(folder, 'receipt.mjml'), W1_TEMPLATE)
  return { templates: folder, template: 'receipt', data: W1_DATA }
}
