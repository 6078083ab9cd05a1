import { labelOf } from './modes.js'
import { noiseLine } from './noise.js'
import type { ModeRates } from './rates.js'
import {
  type BenchReport,
  type Conditions,
  type FigureName,
  format,
  type ModeResult,
  ratio,
} from './report.js'
import type { Scaling } from './scaling.js'
import { cellsOf, missedTargets, type Target } from './targets.js'

/** Pads cells to columns of equal width, with the first column left-aligned and the others right-aligned. */
export function align(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  )
  return rows.map((cells) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}

interface Column {
  title: string
  of(result: Pick<ModeResult, 'figures'>, all: readonly ModeResult[]): string
}

const figure = (title: string, name: FigureName): Column => ({
  title,
  of: ({ figures }) => format(name, figures[name]?.median),
})

const spread: Column = {
  title: 'lowest–highest',
  of: ({ figures: { rate } }) => `${format('rate', rate?.lowest)}–${format('rate', rate?.highest)}`,
}

const times = (title: string, family: string): Column => ({
  title,
  of({ figures }, all) {
    const base = all.find(({ mode }) => mode.family === family)?.figures.rate?.median
    const value = ratio(figures.rate?.median, base)
    return value === undefined ? '–' : `${value.toFixed(value < 10 ? 1 : 0)}×`
  },
})

const THROUGHPUT: readonly Column[] = [
  figure('first 1,000: /s', 'coldRate'),
  figure('warm: messages/s', 'rate'),
  spread,
  times('to precompiled', 'precompiled'),
  times('to naive', 'naive'),
  figure('main CPU µs', 'cpuMain'),
  figure('total CPU µs', 'cpuAll'),
  figure('cores', 'cores'),
  figure('RSS MB', 'rss'),
  figure('start s', 'start'),
  figure('overhead ms/s', 'overhead'),
]

const WAITING: readonly Column[] = [
  figure('loop idle p99', 'loopIdle'),
  figure('mail p50', 'loopP50'),
  figure('p99', 'loopP99'),
  figure('max', 'loopMax'),
  figure('busy %', 'utilisation'),
  figure('HTTP idle p50', 'httpIdleP50'),
  figure('p99', 'httpIdleP99'),
  figure('mail p50', 'httpP50'),
  figure('p99', 'httpP99'),
]

const LATENCY: readonly Column[] = [
  figure('send() p50', 'sendP50'),
  figure('p99', 'sendP99'),
  figure('delivery p50', 'aloneP50'),
  figure('p99', 'aloneP99'),
  figure('under load p50', 'deliveryP50'),
  figure('p99', 'deliveryP99'),
  figure('unfinished', 'unfinished'),
]

/** Returns the report as text for a terminal. */
export function tableOf({ conditions, modes, left }: BenchReport): string {
  return [
    ...conditionLines(conditions),
    '',
    'Throughput and cost per message (CPU without the overhead of the measurement)',
    ...aligned(modes, THROUGHPUT),
    '',
    'Delays on the main thread, in ms (the event loop and an Express route)',
    ...aligned(modes, WAITING),
    '',
    'One message at a time, then under load, in ms',
    ...aligned(modes, LATENCY),
    ...left.map(({ mode, reason }) => `\n${mode} was omitted: ${reason}`),
    '',
    ...modes.map(({ mode, meaning }) => `${mode.name}: ${meaning}`),
  ].join('\n')
}

/** Returns what the figures mean, or why they can't be trusted, in paragraphs. */
export function verdictOf({ noise, verdict }: BenchReport): string {
  return [noiseLine(noise), ...verdict].join('\n\n')
}

/** Seconds from which on a phase measures the program and not V8's compiler. */
const WARM = 3

export function conditionLines(conditions: Conditions): string[] {
  const {
    workload,
    bytes,
    rounds,
    repeats,
    seconds,
    cpus,
    cpu,
    node,
    sink,
    redis,
    rate,
    http,
    connections,
    messages,
  } = conditions
  const schedule =
    rate === undefined ? 'as fast as possible' : `${rate} messages per second on a fixed schedule`
  const repeated = repeats === undefined ? '' : ` of ${rounds + repeats}, because some disagreed`
  const limit = messages === undefined ? '' : ` or ${messages} messages`
  return [
    `${workload}: ${(bytes / 1000).toFixed(1)} kB per message; ${schedule}; ${connections} connections in total`,
    `median of ${rounds} round${rounds === 1 ? '' : 's'}${repeated}, each mode in a new process, ${seconds} s${limit} per phase${seconds < WARM ? ' (too short for a warm figure)' : ''}: alone, then with ${http} HTTP requests/s`,
    `${cpus} × ${cpu}, Node ${node}; to ${sink}${redis === undefined ? '' : `; ${redis}`}`,
  ]
}

/** Returns the targets as text for a terminal. */
export function targetTable(targets: readonly Target[]): string {
  const rows = targets.map((target) => {
    const [, ...cells] = cellsOf(target)
    return [target.what, ...cells]
  })
  return [
    'Targets (workload W1, two cores, the sink on the same machine)',
    ...align([['', 'target', 'measured', 'mode', ''], ...rows]),
    '',
    ...missedTargets(targets),
  ].join('\n')
}

/** Titles of the table of rates, without the first column. */
export const RATE_COLUMNS = [
  'main CPU µs',
  'total CPU µs',
  'overhead ms/s',
  'delivery p50 ms',
  'p99 ms',
  'loop p99 ms',
  'unfinished',
]

/** Returns the cells of the table of rates, one row for each mode and rate. */
export function rateRows(rates: readonly ModeRates[]): string[][] {
  return rates.flatMap(({ mode, points }) =>
    points.map((point) => [
      `${mode}, ${point.at}/s`,
      point.cpuMain?.toFixed(0) ?? '–',
      point.cpuAll?.toFixed(0) ?? '–',
      point.overhead?.toFixed(1) ?? '–',
      point.deliveryP50.toFixed(1),
      point.deliveryP99.toFixed(1),
      point.loopP99.toFixed(1),
      String(point.unfinished),
    ]),
  )
}

/** Returns the costs at the rates of applications as text for a terminal. */
export function ratesTable(rates: readonly ModeRates[]): string {
  return [
    'At the rates at which applications send, per message (without the overhead of the measurement)',
    ...align([['', ...RATE_COLUMNS], ...rateRows(rates)]),
  ].join('\n')
}

const SCALED: readonly Column[] = [
  figure('messages/s', 'rate'),
  figure('main CPU µs', 'cpuMain'),
  figure('total CPU µs', 'cpuAll'),
  figure('loop p99 ms', 'loopP99'),
  figure('RSS MB', 'rss'),
]

export function scalingTable(scaling: readonly Scaling[]): string {
  return scaling
    .flatMap(({ by, note, points }) => [
      `By ${by}: ${note}`,
      ...align([
        ['', 'mode', ...SCALED.map(({ title }) => title)],
        ...points.map(({ at, mode, figures }) => [
          at,
          mode,
          ...SCALED.map((column) => column.of({ figures }, [])),
        ]),
      ]),
      '',
    ])
    .join('\n')
}

function scalingMarkdown(scaling: readonly Scaling[]): string[] {
  const columns = [
    'messages/s',
    'main-thread CPU per message, µs',
    'total CPU, µs',
    'event loop p99, ms',
    'memory, MB',
  ]
  return [
    '',
    row(['by', 'at', 'mode', ...columns]),
    row(['---', '---', '---', ...columns.map(() => '---:')]),
    ...scaling.flatMap(({ by, points }) =>
      points.map(({ at, mode, figures }) =>
        row([by, at, mode, ...SCALED.map((column) => column.of({ figures }, []))]),
      ),
    ),
  ]
}

function ratesMarkdown(rates: readonly ModeRates[]): string[] {
  return [
    '',
    row(['', ...RATE_COLUMNS]),
    row(['---', ...RATE_COLUMNS.map(() => '---:')]),
    ...rateRows(rates).map(row),
  ]
}

function targetMarkdown(targets: readonly Target[]): string[] {
  return [
    '',
    row(['target', '', 'measured', 'mode', '']),
    row(['---', '---', '---:', '---', '---']),
    ...targets.map((target) => row(cellsOf(target))),
    ...missedTargets(targets).flatMap((sentence) => ['', sentence]),
  ]
}

/** Returns the tables of README.md in this folder. */
export function markdownOf(report: BenchReport): string {
  const { conditions, modes, rates, targets, scaling } = report
  const columns = [
    figure('messages/s, the first 1,000', 'coldRate'),
    figure('warm', 'rate'),
    times('to precompiled', 'precompiled'),
    figure('main-thread CPU per message, µs', 'cpuMain'),
    figure('total CPU, µs', 'cpuAll'),
    figure('event loop p99, ms', 'loopP99'),
    figure('HTTP p99 without mail, ms', 'httpIdleP99'),
    figure('under mail, ms', 'httpP99'),
    figure('`send()` p50, one at a time, ms', 'sendP50'),
    figure('delivery p50, one at a time, ms', 'aloneP50'),
    figure('memory, MB', 'rss'),
  ]
  return [
    ...conditionLines(conditions),
    '',
    row(['', ...columns.map(({ title }) => title)]),
    row(['---', ...columns.map(() => '---:')]),
    ...modes.map((result) =>
      row([labelOf(result.mode), ...columns.map((column) => column.of(result, modes))]),
    ),
    ...(rates === undefined ? [] : ratesMarkdown(rates)),
    ...(targets === undefined ? [] : targetMarkdown(targets)),
    ...(scaling === undefined ? [] : scalingMarkdown(scaling)),
    '',
    verdictOf(report),
  ].join('\n')
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')
}

function aligned(modes: readonly ModeResult[], columns: readonly Column[]): string[] {
  return align([
    ['', ...columns.map(({ title }) => title)],
    ...modes.map((result) => [result.mode.name, ...columns.map((column) => column.of(result, modes))]),
  ])
}
