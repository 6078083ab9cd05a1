import { type Point, CHART_SECONDS, useLive } from './liveState.js'

export interface ChartLine {
  of: keyof Omit<Point, 'at'>
  name: string
  /** A color class of the stylesheet. */
  color: string
  fill?: boolean
}

interface ChartProps {
  title: string
  /** The current value as text: the curve is hidden from screen readers. */
  now: string
  /** Text next to the value, such as the unit that is counted. */
  note: string
  lines: readonly ChartLine[]
  format: (value: number) => string
  /** The minimum for the upper end of the scale. */
  top: number
}

/** The drawing is stretched to fit, so only its ratios matter. */
const WIDTH = 1000
const HEIGHT = 100

/** A curve of the last minutes with its current value. */
export function Chart({ title, now, note, lines, format, top }: ChartProps) {
  const { points } = useLive()
  const end = points.at(-1)?.at ?? 0
  // The axis starts at 30 seconds, so that the first points are visible right away.
  const span = Math.min(CHART_SECONDS, Math.max(30, end - (points[0]?.at ?? end)))
  const high = roundUp(Math.max(top, ...lines.flatMap(({ of }) => points.map((point) => point[of] ?? 0))))
  const place = ({ at }: Point, value: number) =>
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
                  <path class="chart-line" d={path} />
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

/** Splits the points at those without a value: a curve has gaps. */
function runsOf(points: readonly Point[], of: ChartLine['of']): Point[][] {
  const runs: Point[][] = []
  let open = false
  for (const point of points) {
    if (point[of] === null) open = false
    else if (open) runs.at(-1)?.push(point)
    else open = runs.push([point]) > 0
  }
  return runs
}

/** Rounds up to 1, 2, 2.5, or 5 times a power of ten, so that half of it is also a round number. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10) * power
}
