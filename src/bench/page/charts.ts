/** Charts as SVG text, without scripts or external files. The page's CSS variables set the colors. */

const FONT = 12
const ROW = 26
const LABEL = 150
const WIDTH = 860

export interface Bar {
  label: string
  /** One bar per entry of the legend, in its order. */
  values: (Value | undefined)[]
}

export interface Value {
  value: number
  text: string
  /** Lowest and highest value of the rounds. */
  range?: [number, number]
}

/**
 * Draws horizontal bars that start at zero, in one group per label.
 * @param title names the chart for readers who don't see it
 */
export function bars(title: string, groups: readonly Bar[], legend: readonly string[] = []): string {
  const values = groups.flatMap(({ values }) =>
    values.flatMap((entry) => (entry === undefined ? [] : [entry.value, ...(entry.range ?? [])])),
  )
  if (values.length === 0) return ''
  const scale = scaleOf(values, WIDTH - LABEL - 110, 'linear')
  const series = Math.max(1, legend.length)
  const thick = series === 1 ? 16 : 10
  const height = Math.max(ROW, series * (thick + 2) + 8)
  const parts = groups.flatMap(({ label, values }, row) => {
    const top = row * height
    const name = text(LABEL - 10, top + height / 2 + 4, label, 'end')
    return [name, ...values.map((entry, index) => (entry === undefined ? '' : bar(entry, index, top)))]
  })
  function bar({ value, text: label, range }: Value, index: number, top: number): string {
    const y = top + (height - series * (thick + 2)) / 2 + index * (thick + 2)
    const width = Math.max(1, scale.at(value))
    const whisker =
      range === undefined || range[0] === range[1]
        ? ''
        : `<path class="whisker" d="M${LABEL + scale.at(range[0])} ${y + thick / 2}H${LABEL + scale.at(range[1])}"/>`
    const end = Math.max(width, range === undefined ? 0 : scale.at(range[1]))
    return `<rect class="s${index}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${thick}" rx="2"/>${whisker}${text(LABEL + end + 6, y + thick / 2 + 4, label)}`
  }
  return svg(title, groups.length * height + 4, parts.join('')) + legendOf(legend)
}

export interface Line {
  name: string
  points: [x: number, y: number][]
}

export interface Axes {
  x: string
  y: string
  /** Positions and labels on the x axis, instead of numbers. */
  ticks?: [x: number, label: string][]
}

const CHART = { height: 300, left: 60, right: 20, top: 12, bottom: 44 }

/**
 * Draws lines over a common x axis.
 * @param title names the chart for readers who don't see it
 */
export function lines(title: string, series: readonly Line[], { x, y, ticks }: Axes): string {
  const xs = series.flatMap(({ points }) => points.map(([value]) => value))
  const ys = series.flatMap(({ points }) => points.map(([, value]) => value))
  if (xs.length === 0) return ''
  const across = scaleOf(xs, WIDTH - CHART.left - CHART.right, 'linear')
  const up = scaleOf(ys, CHART.height - CHART.top - CHART.bottom)
  const left = (value: number): string => (CHART.left + across.at(value)).toFixed(1)
  const top = (value: number): string => (CHART.height - CHART.bottom - up.at(value)).toFixed(1)
  const grid = up.ticks.map(
    (value) =>
      `<path class="grid" d="M${CHART.left} ${top(value)}H${WIDTH - CHART.right}"/>${text(CHART.left - 8, Number(top(value)) + 4, short(value), 'end')}`,
  )
  const marks = (ticks ?? across.ticks.map((value): [number, string] => [value, short(value)])).map(
    ([value, label]) => text(Number(left(value)), CHART.height - CHART.bottom + 18, label, 'middle'),
  )
  const curves = series.map(
    ({ points }, index) =>
      `<polyline class="l${index}" points="${points.map(([px, py]) => `${left(px)},${top(py)}`).join(' ')}"/>`,
  )
  const titles =
    text(WIDTH / 2, CHART.height - 6, x, 'middle') +
    `<text transform="translate(14 ${CHART.height / 2}) rotate(-90)" text-anchor="middle">${escape(y)}</text>`
  return (
    svg(title, CHART.height, [...grid, ...marks, ...curves, titles].join('')) +
    legendOf(
      series.map(({ name }) => name),
      'l',
    ) +
    note(up)
  )
}

interface Scale {
  at(value: number): number
  ticks: number[]
  logarithmic: boolean
}

function scaleOf(values: readonly number[], length: number, kind: 'linear' | 'either' = 'either'): Scale {
  const highest = Math.max(...values)
  const positive = values.filter((value) => value > 0)
  const lowest = Math.min(...positive, highest)
  if (kind === 'either' && lowest > 0 && highest / lowest > 30) return logarithmic(lowest, highest, length)
  const step = niceStep(highest / 5)
  return {
    at: (value) => (highest === 0 ? 0 : (Math.max(0, value) / highest) * length),
    ticks: Array.from({ length: Math.floor(highest / step) + 1 }, (_, index) => index * step),
    logarithmic: false,
  }
}

function logarithmic(lowest: number, highest: number, length: number): Scale {
  const from = Math.floor(Math.log10(lowest))
  const span = Math.max(1, Math.log10(highest) - from)
  const decades = Math.floor(Math.log10(highest)) - from + 1
  return {
    at: (value) => (value <= 0 ? 0 : Math.max(0, ((Math.log10(value) - from) / span) * length)),
    ticks: Array.from({ length: decades }, (_, index) => 10 ** (from + index)),
    logarithmic: true,
  }
}

function niceStep(rough: number): number {
  if (rough <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough) ?? 10 * power
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`
  if (value >= 1e4) return `${value / 1e3}k`
  return String(Number(value.toPrecision(3)))
}

function note({ logarithmic }: Scale): string {
  return logarithmic ? '<p class="note">Logarithmic axis: each step is ten times the previous one.</p>' : ''
}

function legendOf(names: readonly string[], kind: 's' | 'l' = 's'): string {
  if (names.length === 0) return ''
  const items = names.map((name, index) => `<li class="${kind}${index}"><i></i>${escape(name)}</li>`)
  return `<ul class="legend">${items.join('')}</ul>`
}

function text(x: number, y: number, content: string, anchor = 'start'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escape(content)}</text>`
}

/** On a phone, the chart scrolls sideways in its frame, because its text would be too small to read. */
function svg(title: string, height: number, content: string): string {
  const label = `aria-label="${escape(title)}"`
  return `<div class="wide" tabindex="0" role="region" ${label}><svg viewBox="0 0 ${WIDTH} ${height}" font-size="${FONT}" role="img" ${label}>${content}</svg></div>`
}

export function escape(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
