import { useEffect, useState } from 'preact/hooks'
import { get, messageOf } from './request.js'

/** Milliseconds between two loads. */
const REFRESH = 5_000

interface Loaded<T> {
  /** The last response. It stays while a later load fails. */
  loaded?: T
  /** Why the last load failed. */
  problem?: string
}

/**
 * Loads from a path below `dashboard/` now and then.
 * @param changes loads again when it changes
 */
export function useLoaded<T>(path: string, { refresh = REFRESH, changes = 0 } = {}): Loaded<T> {
  const [{ of, ...state }, setState] = useState<Loaded<T> & { of: string }>({ of: path })
  useEffect(() => {
    const controller = new AbortController()
    const load = () =>
      get<T>(path, controller.signal).then(
        (loaded) => setState({ of: path, loaded }),
        (error: unknown) => {
          if (!controller.signal.aborted)
            setState((before) => ({
              ...(before.of === path ? before : {}),
              of: path,
              problem: messageOf(error),
            }))
        },
      )
    void load()
    const timer = setInterval(() => void load(), refresh)
    return () => {
      clearInterval(timer)
      controller.abort()
    }
  }, [path, changes])
  // A result that was loaded from another path says nothing about this one.
  return of === path ? state : {}
}
