import { readFileSync } from 'node:fs'
import { type Distribution, PERCENTILES } from '../distribution.js'
import { labelOf } from '../modes.js'
import { type BenchReport, type FigureName, FIGURES, format, type ModeResult } from '../report.js'
import type { Scaling } from '../scaling.js'
import { conditionLines, RATE_COLUMNS, rateRows } from '../table.js'
import { cellsOf, isMet, missedTargets, type Target } from '../targets.js'
import { bars, escape, lines, type Value } from './charts.js'

/** Returns a self-contained page without scripts, for light and dark screens and for paper. */
export function pageOf(report: BenchReport): string {
  const style = readFileSync(new URL('./page.css', import.meta.url), 'utf8')
  const { modes, conditions, verdict, left } = report
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>threadpost bench: ${escape(conditions.workload)}</title>
<style>${style}</style>
</head>
<body>
<main>
<header>
<h1>Thread or inline?</h1>
${conditionLines(conditions)
  .map((line) => `<p class="conditions">${escape(line)}</p>`)
  .join('\n')}
<p class="conditions">${escape(new Date(conditions.date).toUTCString())}</p>
</header>
<section class="verdict">
<h2>Summary</h2>
${verdict.map((sentence) => `<p>${escape(sentence)}</p>`).join('\n')}
</section>
${section('Throughput', 'Messages per second, rendered and accepted by the server: the first 1,000 of a process, and after warm-up. The line shows the range over the rounds.', figureBars(modes, ['coldRate', 'rate']))}
${section('CPU per message', 'CPU time of the main thread, which serves your requests, and of the whole process, in µs per message, without the overhead of the measurement.', figureBars(modes, ['cpuMain', 'cpuAll']))}
${report.rates === undefined ? '' : section('At the rates at which applications send', 'Per message, without the overhead of the measurement, which is shown in ms of main-thread CPU per second.', table(['', ...RATE_COLUMNS], rateRows(report.rates ?? [])))}
${section('HTTP latency', `An Express route of the same process receives ${conditions.http} requests per second. The 99th percentile of their latency, in ms.`, figureBars(modes, ['httpIdleP99', 'httpP99']))}
${section('Event loop delay', 'The maximum delay in each tenth of a second while mail is sent, in ms.', loopOverTime(modes))}
${section('Delivery of one message at a time', 'Time from send() to delivery, in ms, by percentile. Threads don’t deliver a single message sooner.', latency(modes, 'alone'))}
${section('Time until send() resolves', 'Inline, send() waits for the server; with a queue, for the receipt. One message at a time, in ms.', latency(modes, 'send'))}
${section('Delivery under load', 'Time from send() to delivery under the full load, in ms. Most of it is time in the queue.', latency(modes, 'delivery'))}
${report.scaling?.map(scalingSection).join('\n') ?? ''}
${report.targets === undefined ? '' : targetSection(report.targets)}
${section('All figures', 'Medians over the rounds.', figureTable(modes))}
<section><h2>Modes</h2>
<dl>${modes.map(({ mode, meaning }) => `<dt>${mode.name}</dt><dd>${escape(meaning)}</dd>`).join('')}</dl>
${left.map(({ mode, reason }) => `<p class="note">${escape(mode)} was omitted: ${escape(reason)}</p>`).join('')}
</section>
</main>
</body>
</html>
`
}

/** @param chart draws the content, and is given its title */
function section(title: string, text: string, chart: (title: string) => string): string {
  const content = chart(title)
  if (content === '') return ''
  return `<section><h2>${escape(title)}</h2><p>${escape(text)}</p>${content}</section>`
}

function figureBars(modes: readonly ModeResult[], names: readonly FigureName[]): (title: string) => string {
  const groups = modes.map((result) => ({
    label: labelOf(result.mode),
    values: names.map((name) => valueOf(result, name)),
  }))
  const shown = groups.filter(({ values }) => values.some((value) => value !== undefined))
  return (title) => bars(title, shown, names.length > 1 ? names.map((name) => FIGURES[name].title) : [])
}

function valueOf({ figures }: ModeResult, name: FigureName): Value | undefined {
  const figure = figures[name]
  if (figure === undefined) return undefined
  return {
    value: figure.median,
    text: format(name, figure.median),
    range: [figure.lowest, figure.highest],
  }
}

/** Length of one point of the curve, in seconds. */
const POINT = 0.1

function loopOverTime(modes: readonly ModeResult[]): (title: string) => string {
  const series = modes.flatMap(({ mode, curves }) =>
    curves === undefined
      ? []
      : [
          {
            name: labelOf(mode),
            points: curves.loopOverTime.map((delay, index): [number, number] => [(index + 1) * POINT, delay]),
          },
        ],
  )
  return (title) => lines(title, series, { x: 'seconds', y: 'ms' })
}

const SHOWN_TICKS = [0, 50, 75, 90, 99, 99.9]

function latency(
  modes: readonly ModeResult[],
  kind: 'alone' | 'send' | 'delivery',
): (title: string) => string {
  const series = modes.flatMap(({ mode, curves }) =>
    curves === undefined ? [] : [{ name: labelOf(mode), points: pointsOf(curves[kind]) }],
  )
  const ticks = SHOWN_TICKS.map((percent): [number, string] => [nines(percent), `${percent}%`])
  return (title) => lines(title, series, { x: 'percentile', y: 'ms', ticks })
}

function pointsOf({ curve }: Distribution): [number, number][] {
  return PERCENTILES.map((percent, index) => [nines(percent), curve[index] ?? 0])
}

/**
 * Maps a percentile to the axis, where 90 to 99 is as wide as 0 to 90, so that rare values are visible. The maximum
 * ends the axis.
 */
function nines(percent: number): number {
  return percent === 100 ? 3.3 : -Math.log10(1 - percent / 100)
}

const SCALED: readonly FigureName[] = ['rate', 'cpuMain', 'cpuAll', 'loopP99', 'deliveryP50', 'rss']

function scalingSection({ by, note, points }: Scaling): string {
  const head = ['', 'mode', ...SCALED.map((name) => `${FIGURES[name].title} ${unitOf(name)}`)]
  const rows = points.map(({ at, mode, figures }) => [
    at,
    mode,
    ...SCALED.map((name) => format(name, figures[name]?.median)),
  ])
  return section(`By ${by}`, note, table(head, rows))
}

function targetSection(targets: readonly Target[]): string {
  const rows = targets.map(
    (target) =>
      `<tr class="${isMet(target) === false ? 'missed' : ''}">${cellsOf(target)
        .map((cell) => `<td>${escape(cell)}</td>`)
        .join('')}</tr>`,
  )
  return `<section><h2>Targets</h2><div class="wide" tabindex="0" role="region" aria-label="Targets"><table><tbody>${rows.join('')}</tbody></table></div>${missedTargets(
    targets,
  )
    .map((sentence) => `<p class="note">${escape(sentence)}</p>`)
    .join('')}</section>`
}

function figureTable(modes: readonly ModeResult[]): (title: string) => string {
  const names = Object.keys(FIGURES) as FigureName[]
  const head = ['', ...modes.map(({ mode }) => mode.name)]
  const rows = names.map((name) => [
    `${FIGURES[name].title} ${unitOf(name)}`,
    ...modes.map(({ figures }) => format(name, figures[name]?.median)),
  ])
  return table(head, rows)
}

function unitOf(name: FigureName): string {
  const { unit } = FIGURES[name]
  return unit === '' || unit === '/s' ? '' : `(${unit})`
}

/** Returns a table's cell. The first one of a row is its heading; an empty one is not. */
function cellOf(cell: string, column: number, tag: string): string {
  if (cell === '') return '<td></td>'
  if (tag === 'th') return `<th scope="col">${escape(cell)}</th>`
  return column === 0 ? `<th scope="row">${escape(cell)}</th>` : `<td>${escape(cell)}</td>`
}

/** Returns a table that scrolls sideways in its frame if it is wider than the screen. */
function table(head: readonly string[], rows: readonly string[][]): (title: string) => string {
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell, column) => cellOf(cell, column, tag)).join('')}</tr>`
  const body = rows.map((row) => cells(row, 'td')).join('')
  return (title) =>
    `<div class="wide" tabindex="0" role="region" aria-label="${escape(title)}"><table><thead>${cells(head, 'th')}</thead><tbody>${body}</tbody></table></div>`
}
