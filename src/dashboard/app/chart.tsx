import { type Point, CHART_SECONDS, useLive } from './liveState.js'

export interface ChartLine {
  of: keyof Omit<Point, 'at'>
  name: string
  /** A colour of the stylesheet. */
  colour: string
  fill?: boolean
}

interface ChartProps {
  title: string
  /** What it stands at, as text: the curve itself is for eyes only. */
  now: string
  /** Said beside it, for instance what is counted. */
  note: string
  lines: readonly ChartLine[]
  format: (value: number) => string
  /** The least that the upper end of the scale is. */
  top: number
}

/** The drawing is stretched to its place; only ratios count. */
const WIDTH = 1000
const HEIGHT = 100

/** A curve of the last minutes with its present value. */
export function Chart({ title, now, note, lines, format, top }: ChartProps) {
  const { points } = useLive()
  const end = points.at(-1)?.at ?? 0
  // It begins with half a minute, so that there is something to see at once.
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
          {lines.map(({ of, colour, fill = false }) =>
            runsOf(points, of).map((run, index) => {
              const [first, last] = [run[0], run.at(-1)]
              const path = `M${run.map((point) => place(point, point[of] ?? 0)).join('L')}`
              return (
                <g class={colour} key={`${of} ${index}`}>
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
          {lines.map(({ name, colour }) => (
            <li class={colour} key={name}>
              {name}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** The points without what has no value: a curve begins anew after a gap. */
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

/** To 1, 2, 2.5 or 5 times a power of ten, so that its half is easy to read, too. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10) * power
}
