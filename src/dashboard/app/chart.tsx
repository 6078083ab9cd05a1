import type { HistoryPoint } from '../../index.js'
import { useLive } from './liveState.js'

export interface ChartLine {
  of: keyof Omit<HistoryPoint, 'at' | 'seconds'>
  name: string
  /** A color class of the stylesheet. */
  color: string
  fill?: boolean
}

export interface ChartProps {
  title: string
  /** The current value as text: the curve is hidden from screen readers. */
  now: string
  /** Text next to the value, such as the unit that is counted. */
  note: string
  lines: readonly ChartLine[]
  format: (value: number) => string
  /** The minimum for the upper end of the scale. */
  top: number
  /** Milliseconds that the chart spans. */
  span: number
}

/** The drawing is stretched to fit, so only its ratios matter. */
const WIDTH = 1000
const HEIGHT = 100
/** Milliseconds that a chart spans at least, so that the first points are visible right away. */
const MIN_SPAN = 5 * 60_000

/** A curve of the queue's history with its current value. */
export function Chart({ title, now, note, lines, format, top, span: wanted }: ChartProps) {
  const { points: all } = useLive()
  const end = all.at(-1)?.at ?? 0
  const points = all.filter(({ at }) => at >= end - wanted)
  const span = Math.min(wanted, Math.max(MIN_SPAN, end - (points[0]?.at ?? end)))
  const high = roundUp(Math.max(top, ...lines.flatMap(({ of }) => points.map((point) => point[of] ?? 0))))
  const place = ({ at }: HistoryPoint, value: number) =>
    `${(WIDTH * (1 - (end - at) / span)).toFixed(1)} ${(HEIGHT * (1 - value / high)).toFixed(1)}`
  return (
    <section class="card chart">
      <h3>{title}</h3>
      <p class="chart-now">
        <strong>{now}</strong> <span class="dim">{note}</span>
      </p>
      <div class="chart-place" aria-hidden="true">
        <ol class="chart-scale">
          {[high, high / 2, 0].map((value) => (
            <li key={value}>
              <span>{format(value)}</span>
            </li>
          ))}
        </ol>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
          {lines.map(({ of, color, fill = false }) =>
            runsOf(points, of).map((run, index) => {
              const [first, last] = [run[0], run.at(-1)]
              const path = `M${run.map((point) => place(point, point[of] ?? 0)).join('L')}`
              return (
                <g class={color} key={`${of} ${index}`}>
                  {fill && first !== undefined && last !== undefined && (
                    <path class="chart-area" d={`${path}L${place(last, 0)}L${place(first, 0)}Z`} />
                  )}
                  {/* A single point is drawn as a dot: a path to itself with round ends. */}
                  <path class="chart-line" d={run.length === 1 ? `${path}Z` : path} />
                </g>
              )
            }),
          )}
        </svg>
      </div>
      {lines.length > 1 && (
        <ul class="chart-key" aria-hidden="true">
          {lines.map(({ name, color }) => (
            <li class={color} key={name}>
              {name}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** Splits the points at those without a value, and where no process reported: a curve has gaps. */
function runsOf(points: readonly HistoryPoint[], of: ChartLine['of']): HistoryPoint[][] {
  const runs: HistoryPoint[][] = []
  let open = false
  let last: HistoryPoint | undefined
  for (const point of points) {
    const gap = last !== undefined && point.at - last.at > MAX_MISSED * last.seconds * 1000
    last = point
    if (point[of] === null) open = false
    else if (open && !gap) runs.at(-1)?.push(point)
    else open = runs.push([point]) > 0
  }
  return runs
}

/** Periods that an idle process may miss because its reports are as far apart as they are long. */
const MAX_MISSED = 3

/** Rounds up to 1, 2, 2.5, or 5 times a power of ten, so that half of it is also a round number. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10) * power
}
