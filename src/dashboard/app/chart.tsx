import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useLive } from './live.js'
import { type Point, SPAN } from './series.js'

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
  note?: string
  lines: readonly ChartLine[]
  format: (value: number) => string
  /** The least that the upper end of the scale may be. */
  top: number
  /** The upper end never moves. */
  fixed?: boolean
}

const HEIGHT = 104

/** A curve of the last minutes with its present value. */
export function Chart({ title, now, note, lines, format, top, fixed = false }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>()
  const { points } = useLive()

  useEffect(() => {
    const element = place.current
    if (element === null) return
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const draw = () => {
      plot.current?.destroy()
      plot.current = new uPlot(optionsOf(element, { lines, format, top, fixed }), [[]], element)
    }
    const resize = new ResizeObserver(() => {
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT })
    })
    draw()
    resize.observe(element)
    dark.addEventListener('change', draw)
    return () => {
      resize.disconnect()
      dark.removeEventListener('change', draw)
      plot.current?.destroy()
    }
  }, [])

  useEffect(() => {
    plot.current?.setData([
      points.map(({ at }) => at),
      ...lines.map(({ of }) => points.map((point) => point[of])),
    ] as uPlot.AlignedData)
  }, [points])

  return (
    <section class="card chart">
      <h3>{title}</h3>
      <p class="chart-now">
        <strong>{now}</strong> {note !== undefined && <span class="dim">{note}</span>}
      </p>
      <div class="chart-place" ref={place} aria-hidden="true" />
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

function optionsOf(
  element: HTMLElement,
  { lines, format, top, fixed }: Required<Pick<ChartProps, 'lines' | 'format' | 'top' | 'fixed'>>,
): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const font = `11px ${style.fontFamily}`
  const grid = { stroke: colour('line'), width: 1 }
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [6, 2, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: (_, _low, high) => [high - SPAN, high] },
      y: { range: (_, _low, high: number | null) => [0, fixed ? top : Math.max(top, (high ?? 0) * 1.15)] },
    },
    axes: [
      { show: false },
      {
        size: 44,
        gap: 4,
        space: 34,
        stroke: colour('dim'),
        font,
        grid,
        ticks: { show: false },
        values: (_, splits) => splits.map(format),
      },
    ],
    series: [
      {},
      ...lines.map(({ colour: name, fill }): uPlot.Series => ({
        stroke: colour(name),
        width: 1.75,
        points: { show: false },
        ...(fill === true ? { fill: `${colour(name)}22` } : {}),
      })),
    ],
  }
}
