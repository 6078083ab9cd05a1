import type { ProcessActivity, TransportStatus } from '../../index.js'

/** A transport as the processes on the queue see it. */
export interface MergedTransport extends TransportStatus {
  /** Processes that deliver over it. */
  processes: number
  /** Of those, the ones that can't reach its server. */
  broken: number
}

/** Merges the transports of all live processes by name: the worst state counts. */
export function transportsOf(processes: readonly ProcessActivity[]): MergedTransport[] {
  const merged = new Map<string, MergedTransport>()
  for (const { gone, transports } of processes)
    for (const status of gone ? [] : transports) {
      const known = merged.get(status.transport)
      const broken = status.breaker === 'open' ? 1 : 0
      if (known === undefined) merged.set(status.transport, { ...status, processes: 1, broken })
      else {
        const worse = broken > 0 && known.broken === 0 ? status : known
        merged.set(status.transport, {
          ...worse,
          processes: known.processes + 1,
          broken: known.broken + broken,
        })
      }
    }
  return [...merged.values()]
}
