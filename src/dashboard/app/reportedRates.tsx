import { useState } from 'preact/hooks'
import type { DeliveryState, FigureGroup, GroupFigures } from '../../index.js'
import type { GroupsView } from '../viewModels.js'
import { TableHead } from './dataTable.js'
import { count, moment, plural } from './format.js'
import { hrefOf } from './navigation.js'
import { useLoaded } from './useLoaded.js'

const GROUPS: Record<FigureGroup, string> = {
  transport: 'Transport',
  template: 'Template',
  domain: 'Recipient domain',
}
/** Rows shown, those with the most reports. */
const MAX_ROWS = 20
/** Milliseconds between two loads: reports arrive minutes after the mail. */
const REFRESH = 15_000

/** Bounces and complaints, reported after the next server accepted the mail, by transport, template, or domain. */
export function ReportedRates() {
  const [by, setBy] = useState<FigureGroup>('transport')
  const { loaded, problem } = useLoaded<GroupsView>(`figures/${by}`, { refresh: REFRESH })
  const groups = (loaded?.groups ?? [])
    .filter(({ sentRecipients, reported }) => sentRecipients + reportsOf(reported) > 0)
    .sort((a, b) => reportsOf(b.reported) - reportsOf(a.reported) || b.sentRecipients - a.sentRecipients)
  return (
    <section class="card" aria-labelledby="reported-title">
      <div class="section-head">
        <h2 id="reported-title">Bounces and complaints</h2>
        <div class="spans" role="group" aria-label="Count by">
          {Object.entries(GROUPS).map(([group, name]) => (
            <button
              class="button small"
              type="button"
              aria-pressed={by === group}
              onClick={() => setBy(group as FigureGroup)}
              key={group}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <p class="dim">
        Reports of the last 24 hours, as a share of the recipients that were accepted by a server in the same
        time. Only what was reported to threadpost is counted.
      </p>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {loaded === undefined && problem === undefined && <p class="dim">Loading…</p>}
      {loaded !== undefined && groups.length === 0 && (
        <p class="dim">No server accepted a recipient in the last 24 hours, and nothing was reported.</p>
      )}
      {groups.length > 0 && <Rates by={by} groups={groups} />}
    </section>
  )
}

function Rates({ by, groups }: { by: FigureGroup; groups: readonly GroupFigures[] }) {
  const shown = groups.slice(0, MAX_ROWS)
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Bounces and complaints by ${by}`}>
      <table class="groups">
        <caption>
          {groups[0] !== undefined && `Since ${moment(groups[0].since)}`}
          {groups.length > shown.length && `, the first ${shown.length} of ${plural(groups.length, by)}`}
        </caption>
        <TableHead columns={[GROUPS[by], 'Recipients', 'Bounced', 'Complained']} />
        <tbody>
          {shown.map((figures) => (
            <tr key={figures.name}>
              <th scope="row">
                <GroupName by={by} name={figures.name} />
              </th>
              <td class="number">{count(figures.sentRecipients)}</td>
              <td class="number">{rateText(figures, 'bounced')}</td>
              <td class="number">{rateText(figures, 'complained')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function GroupName({ by, name }: { by: FigureGroup; name: string }) {
  if (by !== 'domain') return <a href={hrefOf(`${by}s/${encodeURIComponent(name)}`)}>{name}</a>
  return name === '' ? <>Other domains</> : <>{name}</>
}

function reportsOf({ bounced, complained }: GroupFigures['reported']): number {
  return bounced + complained
}

/** Such as “12 (0.4%)”. The share is only given if it is one: reports may be about mail of an earlier day. */
export function rateText(figures: GroupFigures | undefined, state: DeliveryState): string {
  if (figures === undefined) return '0'
  const { sentRecipients, reported } = figures
  const number = reported[state]
  if (number === 0 || number > sentRecipients) return count(number)
  const percent = (100 * number) / sentRecipients
  return `${count(number)} (${percent < 0.01 ? '<0.01' : percent.toFixed(percent < 1 ? 2 : 1)}%)`
}
