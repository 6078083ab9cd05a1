import type { GroupFigures, HistogramSnapshot, SettledCount } from '../../index.js'
import type { AuditLogView, GroupsView } from '../viewModels.js'
import { DataTable, TableHead } from './dataTable.js'
import { count, milliseconds, moment, Time } from './format.js'
import { useLive } from './liveState.js'
import { hrefOf } from './navigation.js'
import { Reasons } from './overviewPanels.js'
import { rateText } from './reportedRates.js'
import { TransportControls } from './transportControls.js'
import { transportsOf } from './transports.js'
import { useLoaded } from './useLoaded.js'

type Kind = 'template' | 'transport'

/** All templates or transports with the figures of the last day. */
export function GroupsPage({ kind }: { kind: Kind }) {
  const { loaded, problem } = useLoaded<GroupsView>(`figures/${kind}`)
  const known = transportsOf(useLive().tick?.activity.processes ?? [])
  const groups = loaded?.groups ?? []
  const loading = loaded === undefined
  const names = new Set(groups.map(({ name }) => name))
  if (kind === 'transport') for (const { transport } of known) names.add(transport)
  return (
    <>
      <h1>{kind === 'template' ? 'Templates' : 'Transports'}</h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {loaded === undefined && problem === undefined && names.size === 0 && <p class="empty">Loading…</p>}
      {loaded !== undefined && names.size === 0 && (
        <p class="empty">Nothing was settled in the last 24 hours.</p>
      )}
      {names.size > 0 && (
        <div class="card scroll" tabIndex={0} role="region" aria-label={`Figures by ${kind}`}>
          <table class="groups">
            <caption>
              Settled messages {groups[0] !== undefined && `since ${moment(groups[0].since)}`}
            </caption>
            <TableHead
              columns={[
                kind === 'template' ? 'Template' : 'Transport',
                ...columnsOf(undefined).map(([label]) => label),
              ]}
            />
            <tbody>
              {[...names].sort().map((name) => (
                <GroupRow
                  kind={kind}
                  name={name}
                  loading={loading}
                  figures={groups.find((group) => group.name === name)}
                  key={name}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}

interface GroupRowProps {
  kind: Kind
  name: string
  loading: boolean
  /** Undefined if nothing was settled. */
  figures: GroupFigures | undefined
}

function GroupRow({ kind, name, loading, figures }: GroupRowProps) {
  return (
    <tr>
      <th scope="row">
        <a href={hrefOf(`${kind}s/${encodeURIComponent(name)}`)}>{name}</a>
      </th>
      {columnsOf(figures).map(([label, value]) => (
        <td class="number" key={label}>
          {loading ? '–' : value}
        </td>
      ))}
    </tr>
  )
}

/** One template or transport. */
export function GroupPage({ kind, name }: { kind: Kind; name: string }) {
  const { loaded, problem } = useLoaded<GroupsView>(`figures/${kind}`)
  const status = transportsOf(useLive().tick?.activity.processes ?? []).find(
    ({ transport }) => transport === name,
  )
  const figures = loaded?.groups.find((group) => group.name === name)
  return (
    <>
      <a class="back" href={hrefOf(`${kind}s`)}>
        ‹ All {kind}s
      </a>
      <h1>{name}</h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {kind === 'transport' && status !== undefined && <TransportControls status={status} />}
      <h2 class="section-title">
        Last 24 hours{' '}
        {figures !== undefined && <span class="dim">settled since {moment(figures.since)}</span>}
      </h2>
      <dl class="figures">
        {columnsOf(figures).map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{loaded === undefined ? '–' : value}</dd>
          </div>
        ))}
      </dl>
      {figures !== undefined && <Reasons day={figures} />}
      {kind === 'template' && (
        <p>
          <a href={hrefOf('messages', { template: name })}>Messages of this template</a>
        </p>
      )}
    </>
  )
}

/** The operators’ actions. */
export function AuditPage() {
  const { loaded, problem } = useLoaded<AuditLogView>('audit')
  return (
    <>
      <h1>Audit log</h1>
      <p class="dim">Who paused, resumed, and changed what. Entries are kept for 90 days.</p>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {loaded?.entries.length === 0 && <p class="empty">There were no changes in this period.</p>}
      {loaded !== undefined && loaded.entries.length > 0 && (
        <DataTable label="Audit log" columns={['When', 'Who', 'What']}>
          {loaded.entries.map(({ at, by, action, target }, index) => (
            <tr key={`${at} ${index}`}>
              <td>
                <Time at={at} />
              </td>
              <td>{by ?? 'the application'}</td>
              <td>
                {action}
                {target !== undefined && <strong> {target}</strong>}
              </td>
            </tr>
          ))}
        </DataTable>
      )}
    </>
  )
}

/** The figures of the last day with their names. */
function columnsOf(figures: GroupFigures | undefined): [label: string, value: string][] {
  return [
    ['Sent', count(settledAs(figures, SENT))],
    ['Failed', count(settledAs(figures, FAILED))],
    ['p50', quantileText(figures, 0.5)],
    ['p95', quantileText(figures, 0.95)],
    ['Bounced', rateText(figures, 'bounced')],
    ['Complained', rateText(figures, 'complained')],
  ]
}

const SENT: readonly SettledCount['status'][] = ['sent']
const FAILED: readonly SettledCount['status'][] = ['failed', 'partial', 'expired']

function settledAs(figures: GroupFigures | undefined, statuses: readonly SettledCount['status'][]): number {
  return (figures?.settled ?? []).reduce(
    (sum, { status, count: number }) => (statuses.includes(status) ? sum + number : sum),
    0,
  )
}

function quantileText(figures: GroupFigures | undefined, q: number): string {
  const value = figures === undefined ? null : quantileOf(figures.latency, q)
  return value === null ? '–' : milliseconds(value)
}

/** A quantile, interpolated linearly within its bucket. */
function quantileOf({ bounds, counts, count: total }: HistogramSnapshot, q: number): number | null {
  let rank = q * total
  if (total === 0) return null
  for (const [index, number] of counts.entries()) {
    const low = bounds[index - 1] ?? 0
    if (number > 0 && rank <= number) return low + (((bounds[index] ?? low) - low) * rank) / number
    rank -= number
  }
  return bounds.at(-1) ?? null
}
