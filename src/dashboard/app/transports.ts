import type { ProcessActivity, QuotaStatus, QuotaUse, TransportReport, TransportStatus } from '../../index.js'
import { count, milliseconds, moment } from './format.js'

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
          ...latestQuota(known.quota, status.quota),
          processes: known.processes + 1,
          broken: known.broken + broken,
        })
      }
    }
  return [...merged.values()]
}

/** The quota is counted for all processes together, and each knows it as of its last message: the highest count is the latest. */
function latestQuota(one: QuotaStatus | undefined, other: QuotaStatus | undefined): { quota?: QuotaStatus } {
  const used = (quota: QuotaStatus): number => quota.day?.used ?? quota.hour?.used ?? 0
  if (one === undefined || other === undefined) return {}
  return { quota: used(one) >= used(other) ? one : other }
}

const HOUR = 60 * 60_000

/** The use of a quota and warm-up, as labels and values. */
export function quotaFigures({ hour, day, warmUpDay }: QuotaStatus): [label: string, value: string][] {
  const useOf = ({ used, limit }: QuotaUse): string => `${count(used)} of ${count(limit)}`
  const figures: [string, string][] = []
  if (hour !== undefined) figures.push(['Messages this hour', useOf(hour)])
  if (day !== undefined) figures.push(['Messages today (UTC)', useOf(day)])
  if (warmUpDay !== undefined) figures.push(['Warm-up', `Day ${warmUpDay}`])
  return figures
}

/** When messages can be sent again, if a quota is used up: in ms since the epoch. */
export function quotaEnd({ hour, day }: QuotaStatus, now: number): number | undefined {
  const isUsedUp = (use: QuotaUse | undefined): boolean => use !== undefined && use.used >= use.limit
  const length = isUsedUp(day) ? 24 * HOUR : isUsedUp(hour) ? HOUR : undefined
  return length && (Math.floor(now / length) + 1) * length
}

export function stateOf({
  breaker,
  since,
  trouble,
  broken,
  processes,
  rate,
  paused,
}: MergedTransport): string {
  if (paused === true) return 'Paused: its messages are held until you resume it.'
  if (breaker === 'closed')
    return rate === undefined ? 'Healthy' : `Healthy, at most ${count(rate)} messages per second`
  const when = since === undefined ? '' : ` since ${moment(since)}`
  const where = processes > 1 ? ` in ${broken} of ${processes} processes` : ''
  const reason = trouble?.message ?? 'The server can’t be reached.'
  return `Messages have been held${where}${when}: ${reason} Sending resumes automatically when the transport recovers.`
}

export function sentenceOf(report: TransportReport): string {
  if (!report.ok) return `Connection failed: ${report.message}`
  const encryption = report.tls === undefined ? 'unencrypted' : `over ${report.tls.protocol}`
  const { proxy, family } = report.route ?? {}
  const route = proxy === undefined ? (family === undefined ? '' : ` over IPv${family}`) : ` through ${proxy}`
  return `Connected: ${report.host}:${report.port} responded in ${milliseconds(report.ms)}${route}, ${encryption}${report.authenticated ? ', authenticated' : ''}.`
}
