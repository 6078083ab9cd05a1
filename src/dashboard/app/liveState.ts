import { useEffect, useState } from 'preact/hooks'
import type { Tick } from '../viewModels.js'
import { addressOf } from './request.js'
import { type Point, Series } from './series.js'

/** Milliseconds after which a page that nobody sees stops looking on. */
const PATIENCE = 60_000

export interface Live {
  /** Absent until the first answer. */
  tick?: Tick
  points: readonly Point[]
  connected: boolean
  /** Why the server can't tell how it fares. */
  trouble?: string
}

const series = new Series()
let live: Live = { points: [], connected: true }
const listeners = new Set<(live: Live) => void>()
const templateListeners = new Set<() => void>()
let source: EventSource | undefined

function tell(change: Partial<Live>): void {
  live = { ...live, ...change }
  for (const listener of listeners) listener(live)
}

/** Looks on as long as the page is seen. @param watch also tells of changed templates */
export function connect({ watch }: { watch: boolean }): void {
  const open = () => {
    source = new EventSource(addressOf(`events${watch ? '?watch=templates' : ''}`))
    source.addEventListener('tick', ({ data }: MessageEvent<string>) => {
      const tick = JSON.parse(data) as Tick
      series.add(tick)
      const { trouble: _, ...rest } = live
      live = rest
      tell({ tick, points: series.points, connected: true })
    })
    source.addEventListener('trouble', ({ data }: MessageEvent<string>) => {
      tell({ trouble: (JSON.parse(data) as { message: string }).message })
    })
    source.addEventListener('templates', () => {
      for (const listener of templateListeners) listener()
    })
    source.onerror = () => {
      tell({ connected: false })
      // After a refusal, such as a session that ended, a browser does not try again by itself.
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
    if (document.hidden) timer = setTimeout(close, PATIENCE)
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

/** Grows whenever a message was taken in or changed its status. */
export function changeOf({ tick }: Live): string {
  if (tick === undefined) return ''
  const { accepted, queued, sending, deferred, held, sent, failed, cancelled, partial, expired } = tick.stats
  return [accepted, queued, sending, deferred, held, sent, failed, cancelled, partial, expired].join()
}
