import { useEffect, useState } from 'preact/hooks'
import type { HistoryPoint } from '../../index.js'
import type { Tick } from '../viewModels.js'
import { get, urlOf } from './request.js'

/** The history as charts show it: from the queue, so that it is there when the page opens. */
class ChartHistory {
  readonly #points = new Map<number, HistoryPoint>()
  points: readonly HistoryPoint[] = []

  /** Adds points; a newer state of the same period replaces the older one. */
  add(points: readonly HistoryPoint[]): void {
    for (const point of points) this.#points.set(point.at, point)
    const newest = Math.max(...this.#points.keys())
    for (const at of this.#points.keys()) if (at < newest - DAY) this.#points.delete(at)
    this.points = [...this.#points.values()].sort((a, b) => a.at - b.at)
  }
}

const DAY = 24 * 60 * 60_000
/** Milliseconds after which a hidden page disconnects. */
const HIDDEN_TIMEOUT = 60_000

export interface Live {
  /** Absent until the first tick arrives. */
  tick?: Tick
  points: readonly HistoryPoint[]
  connected: boolean
  /** Why the server can't report its state. */
  problem?: string
}

const series = new ChartHistory()
let live: Live = { points: [], connected: true }
const listeners = new Set<(live: Live) => void>()
const templateListeners = new Set<() => void>()
let source: EventSource | undefined

function update(change: Partial<Live>): void {
  live = { ...live, ...change }
  for (const listener of listeners) listener(live)
}

/** Without the history, the charts begin with what arrives from now on. */
function loadHistory(): void {
  get<{ points: HistoryPoint[] }>('history').then(
    ({ points }) => {
      series.add(points)
      update({ points: series.points })
    },
    () => undefined,
  )
}

/**
 * Receives events as long as the page is visible.
 * @param watch whether to receive changes of templates, too
 */
export function connect({ watch }: { watch: boolean }): void {
  const open = () => {
    loadHistory()
    source = new EventSource(urlOf(`events${watch ? '?watch=templates' : ''}`))
    source.addEventListener('tick', ({ data }: MessageEvent<string>) => {
      const tick = JSON.parse(data) as Tick
      series.add(tick.points)
      const { problem: _, ...rest } = live
      live = rest
      update({ tick, points: series.points, connected: true })
    })
    source.addEventListener('trouble', ({ data }: MessageEvent<string>) => {
      update({ problem: (JSON.parse(data) as { message: string }).message })
    })
    source.addEventListener('templates', () => {
      for (const listener of templateListeners) listener()
    })
    source.onerror = () => {
      update({ connected: false })
      // A browser doesn't retry after an error response, such as the one for an expired session.
      if (source?.readyState === EventSource.CLOSED) setTimeout(reopen, 5_000)
    }
  }
  const close = () => {
    source?.close()
    source = undefined
  }
  const reopen = () => {
    if (source !== undefined && source.readyState !== EventSource.CLOSED) return
    close()
    if (!document.hidden) open()
  }
  let timer: ReturnType<typeof setTimeout> | undefined
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer)
    if (document.hidden) timer = setTimeout(close, HIDDEN_TIMEOUT)
    else reopen()
  })
  open()
}

export function useLive(): Live {
  const [state, setState] = useState(live)
  useEffect(() => {
    listeners.add(setState)
    setState(live)
    return () => void listeners.delete(setState)
  }, [])
  return state
}

export function onTemplates(listener: () => void): () => void {
  templateListeners.add(listener)
  return () => void templateListeners.delete(listener)
}

/** A key that changes whenever a message is accepted or changes its status. */
export function changeKeyOf({ tick }: Live): string {
  if (tick === undefined) return ''
  const { accepted, queued, sending, deferred, held, sent, failed, cancelled, partial, expired } =
    tick.activity.queue
  return [accepted, queued, sending, deferred, held, sent, failed, cancelled, partial, expired].join()
}
