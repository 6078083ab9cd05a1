import { useState } from 'preact/hooks'
import { Confirm } from './confirm.js'
import { DataTable } from './dataTable.js'
import { Time } from './format.js'
import { hrefOf } from './navigation.js'
import { News } from './notices.js'
import { callApi, messageOf } from './request.js'
import { useMay } from './scopes.js'
import { useLoaded } from './useLoaded.js'

/** A schedule as the HTTP API shows it. */
interface ScheduleSummary {
  name: string
  cron: string
  timeZone: string
  nextAt?: string
  lastAt?: string
  lastId?: string
  template?: string
  subject?: string
}

/** The recurring mail. */
export function Schedules() {
  const [changes, setChanges] = useState(0)
  const { loaded, problem } = useLoaded<{ schedules: ScheduleSummary[] }>('../schedules', { changes })
  const [failure, setFailure] = useState('')
  const [news, setNews] = useState('')
  const [unconfirmed, setUnconfirmed] = useState<string>()
  const mayManage = useMay('manage')
  const unschedule = (name: string) => {
    setNews('')
    setFailure('')
    callApi(`schedules/${encodeURIComponent(name)}`, { method: 'DELETE' })
      .then(
        () => setNews(`Removed ${name}.`),
        (error: unknown) => setFailure(messageOf(error)),
      )
      .finally(() => setChanges((before) => before + 1))
  }
  const schedules = loaded?.schedules ?? []
  return (
    <>
      <h1>Schedules</h1>
      <p class="dim">
        Mail that is sent at the times of a cron expression, once for all processes on the queue.
      </p>
      <News text={news} />
      {[failure, problem ?? '']
        .filter((text) => text !== '')
        .map((text) => (
          <p class="problem" role="alert" key={text}>
            {text}
          </p>
        ))}
      {loaded === undefined && problem === undefined && <p class="empty">Loading…</p>}
      {loaded !== undefined && schedules.length === 0 && <p class="empty">Nothing is scheduled.</p>}
      {schedules.length > 0 && (
        <Table schedules={schedules} unschedule={mayManage ? setUnconfirmed : undefined} />
      )}
      {unconfirmed !== undefined && (
        <Confirm
          question={`Remove the schedule ${unconfirmed}?`}
          yes="Remove"
          answer={(yes) => {
            setUnconfirmed(undefined)
            if (yes) unschedule(unconfirmed)
          }}
        >
          <p>Its mail is no longer sent. An application that schedules it at each start adds it again.</p>
        </Confirm>
      )}
    </>
  )
}

interface TableProps {
  schedules: readonly ScheduleSummary[]
  unschedule: ((name: string) => void) | undefined
}

function Table({ schedules, unschedule }: TableProps) {
  return (
    <DataTable
      label="Schedules"
      columns={['Schedule', 'Mail', 'Times', 'Next', 'Last', ...(unschedule === undefined ? [] : ['Action'])]}
    >
      {schedules.map(({ name, cron, timeZone, nextAt, lastAt, lastId, template, subject }) => (
        <tr key={name}>
          <th scope="row">{name}</th>
          <td>{subject ?? template ?? '–'}</td>
          <td>
            <code>{cron}</code> <span class="dim">{timeZone}</span>
          </td>
          <td>{nextAt === undefined ? 'never' : <Time at={nextAt} />}</td>
          <td>
            {lastAt === undefined ? '–' : <Time at={lastAt} />}{' '}
            {lastId !== undefined && (
              <a href={hrefOf(`messages/${lastId}`)}>
                Message<span class="hidden-label"> of {name}</span>
              </a>
            )}
          </td>
          {unschedule !== undefined && (
            <td>
              <button class="button small" type="button" onClick={() => unschedule(name)}>
                Remove<span class="hidden-label"> {name}</span>
              </button>
            </td>
          )}
        </tr>
      ))}
    </DataTable>
  )
}
