import type { BenchReport, ModeResult } from './runs.js'

const COLUMNS: [title: string, value: (mode: ModeResult) => string][] = [
  ['', ({ mode }) => mode],
  ['messages/s', ({ rate }) => rate.toFixed(0)],
  ['slowest–fastest', ({ spread }) => spread.map((rate) => rate.toFixed(0)).join('–')],
  ['loop p50 ms', ({ loop }) => loop.p50.toFixed(1)],
  ['p99 ms', ({ loop }) => loop.p99.toFixed(1)],
  ['max ms', ({ loop }) => loop.max.toFixed(1)],
  ['CPU main µs', ({ cpu }) => cpu.main?.toFixed(0) ?? '–'],
  ['CPU all µs', ({ cpu }) => cpu.total.toFixed(0)],
  ['RSS MB', ({ rss }) => (rss / 2 ** 20).toFixed(0)],
]

/** The report as a table for a terminal, with what it means below. */
export function tableOf({ conditions, modes }: BenchReport): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...modes.map((mode) => COLUMNS.map(([, value]) => value(mode))),
  ]
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
  const { workload, messages, rounds, cpus, cpu, node, sink } = conditions
  return [
    `${workload}; ${messages} messages a run, median of ${rounds} round${rounds === 1 ? '' : 's'}, each in a fresh process`,
    `${cpus} × ${cpu}, Node ${node}; ${sink}`,
    '',
    ...lines,
    '',
    verdictOf(modes),
  ].join('\n')
}

function verdictOf(modes: ModeResult[]): string {
  const inline = modes.find(({ threads }) => threads === 0)
  const threaded = modes.filter(({ threads }) => threads > 0)
  const best = threaded.toSorted((a, b) => b.rate - a.rate)[0]
  if (inline === undefined || best === undefined)
    return 'Loop: time between two looks at the main event loop; 1 ms is idle.'
  return (
    `While mail is sent inline, one request in a hundred waits ${inline.loop.p99.toFixed(1)} ms or more for the event loop; ` +
    `with ${best.mode} it is ${best.loop.p99.toFixed(1)} ms. ` +
    `Threads don't make one mail arrive sooner: they keep the process free (1 ms is idle).`
  )
}
