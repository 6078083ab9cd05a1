import { useEffect, useState } from 'preact/hooks'
import type { Suppression, SuppressionPage } from '../../index.js'
import { AddEntry, EraseAddress, REASONS } from './addressForm.js'
import { Confirm } from './confirm.js'
import { DataTable } from './dataTable.js'
import { Time } from './format.js'
import { hrefOf } from './navigation.js'
import { News, Problem } from './notices.js'
import { callApi, messageOf, RequestError, root } from './request.js'
import { useMay } from './scopes.js'
import { SearchForm } from './searchForm.js'

const FILTERS = ['q', 'reason', 'stream']
const PAGE_SIZE = 100
/** Maximum requests for one page: a search through a long list returns its matches in parts. */
const MAX_REQUESTS = 40

interface Listed extends SuppressionPage {
  /** The query that these entries answer. */
  search: string
}

/** The addresses that get no more mail. */
export function Suppressions({ query }: { query: URLSearchParams }) {
  const search = query.toString()
  const [listed, setListed] = useState<Listed>()
  const [problem, setProblem] = useState<unknown>()
  const [failure, setFailure] = useState('')
  const [news, setNews] = useState('')
  const [changes, setChanges] = useState(0)
  const [unconfirmed, setUnconfirmed] = useState<Suppression>()
  const mayManage = useMay('manage')

  useEffect(() => {
    const controller = new AbortController()
    load(query, controller.signal).then(
      (page) => {
        setListed({ ...page, search })
        setProblem(undefined)
      },
      (error: unknown) => {
        if (!controller.signal.aborted) setProblem(error)
      },
    )
    return () => controller.abort()
  }, [search, changes])

  const changed = (sentence: string) => {
    setFailure('')
    setNews(sentence)
    setChanges((before) => before + 1)
  }
  const remove = ({ address, reason, stream }: Suppression) => {
    const entry = new URLSearchParams({ address, reason, ...(stream === undefined ? {} : { stream }) })
    callApi(`suppressions?${entry.toString()}`, { method: 'DELETE' }).then(
      () => changed(`Removed ${address}.`),
      (error: unknown) => {
        setNews('')
        setFailure(messageOf(error))
      },
    )
  }
  const forbidden = problem instanceof RequestError && problem.status === 403
  const entries = listed?.suppressions ?? []
  const filters = Object.fromEntries([...query].filter(([name]) => name !== 'cursor'))
  return (
    <>
      <h1>Suppressions</h1>
      <p class="dim">
        Addresses that get no more mail, either in one stream or in every stream. Every process on the queue
        uses this list.
      </p>
      {mayManage && <AddEntry added={({ address }) => changed(`Added ${address}.`)} />}
      {mayManage && <EraseAddress erased={changed} />}
      {!forbidden && <SuppressionFilters query={query} />}
      <News text={news} />
      <Problem text={failure} />
      {problem !== undefined && (
        <p class="problem" role="alert">
          {forbidden
            ? 'This list requires the scope “manage”, because it names recipients.'
            : messageOf(problem)}
        </p>
      )}
      {listed === undefined && problem === undefined && <p class="empty">Loading…</p>}
      {!forbidden && listed !== undefined && entries.length === 0 && (
        <NoEntries listed={listed} filtered={Object.keys(filters).length > 0} />
      )}
      {!forbidden && entries.length > 0 && (
        <Entries
          entries={entries}
          faded={listed?.search !== search}
          remove={mayManage ? setUnconfirmed : undefined}
        />
      )}
      <nav class="pager" aria-label="Pages of suppressions">
        {query.has('cursor') && (
          <a class="button" href={hrefOf('suppressions', filters)}>
            First page
          </a>
        )}
        {listed?.cursor !== undefined && (
          <a class="button" href={hrefOf('suppressions', { ...filters, cursor: listed.cursor })}>
            Next page
          </a>
        )}
        {!forbidden && entries.length > 0 && (
          <a href={new URL('suppressions.csv', root).href} download>
            Export the whole list as CSV
          </a>
        )}
      </nav>
      {unconfirmed !== undefined && (
        <ConfirmRemoval
          entry={unconfirmed}
          answer={(yes) => {
            setUnconfirmed(undefined)
            if (yes) remove(unconfirmed)
          }}
        />
      )}
    </>
  )
}

function SuppressionFilters({ query }: { query: URLSearchParams }) {
  return (
    <SearchForm place="suppressions" query={query} names={FILTERS} three>
      <label class="field search">
        <span>Search</span>
        <input type="search" name="q" placeholder="Part of an address" maxLength={320} />
      </label>
      <label class="field">
        <span>Reason</span>
        <select name="reason">
          <option value="">Any</option>
          <ReasonOptions />
        </select>
      </label>
      <label class="field">
        <span>Stream</span>
        <input name="stream" maxLength={64} />
      </label>
    </SearchForm>
  )
}

function ReasonOptions() {
  return (
    <>
      {Object.entries(REASONS).map(([reason, label]) => (
        <option value={reason} key={reason}>
          {label}
        </option>
      ))}
    </>
  )
}

function NoEntries({ listed, filtered }: { listed: Listed; filtered: boolean }) {
  return (
    <p class="empty">
      {listed.cursor !== undefined
        ? 'No match so far. The search continues on the next page. '
        : filtered
          ? 'No entry matches. '
          : 'No address is suppressed.'}
      {filtered && <a href={hrefOf('suppressions')}>Show all</a>}
    </p>
  )
}

interface EntriesProps {
  entries: readonly Suppression[]
  /** Whether the entries are about to be replaced. */
  faded: boolean
  remove: ((entry: Suppression) => void) | undefined
}

function Entries({ entries, faded, remove }: EntriesProps) {
  return (
    <DataTable
      label="Suppressed addresses"
      columns={['Address', 'Reason', 'Stream', 'Since', 'Note', ...(remove === undefined ? [] : ['Action'])]}
      class={faded ? 'suppressed faded' : 'suppressed'}
    >
      {entries.map((entry) => (
        <tr key={keyOf(entry)}>
          <th scope="row">{entry.address}</th>
          <td>{REASONS[entry.reason]}</td>
          <td>{entry.stream ?? 'every stream'}</td>
          <td>
            <Time at={entry.since} />
            {entry.expiresAt !== undefined && (
              <span class="dim">
                , until <Time at={entry.expiresAt} />
              </span>
            )}
          </td>
          <td class="note">{entry.detail}</td>
          {remove !== undefined && (
            <td>
              <button class="button small" type="button" onClick={() => remove(entry)}>
                Remove<span class="hidden-label"> {nameOf(entry)}</span>
              </button>
            </td>
          )}
        </tr>
      ))}
    </DataTable>
  )
}

function ConfirmRemoval({ entry, answer }: { entry: Suppression; answer: (yes: boolean) => void }) {
  const { address, reason, stream } = entry
  return (
    <Confirm question={`Remove ${address}?`} yes="Remove" answer={answer}>
      <p>
        {stream === undefined
          ? `This removes its entries with the reason “${REASONS[reason]}” in all streams.`
          : `This removes its entry with the reason “${REASONS[reason]}” in the stream “${stream}”.`}{' '}
        Mail to this address is sent again, unless another entry covers it.
      </p>
      {reason === 'complaint' || reason === 'unsubscribe' ? (
        <p>The recipient asked for no more mail.</p>
      ) : null}
    </Confirm>
  )
}

async function load(query: URLSearchParams, signal: AbortSignal): Promise<SuppressionPage> {
  const suppressions: Suppression[] = []
  let cursor = query.get('cursor') ?? ''
  for (let requests = 0; requests < MAX_REQUESTS; requests++) {
    const params = new URLSearchParams(query)
    params.set('limit', String(PAGE_SIZE - suppressions.length))
    if (cursor !== '') params.set('cursor', cursor)
    const page = await callApi<SuppressionPage>(`suppressions?${params.toString()}`, { signal })
    suppressions.push(...page.suppressions)
    cursor = page.cursor ?? ''
    if (cursor === '' || suppressions.length >= PAGE_SIZE) break
  }
  return { suppressions, ...(cursor === '' ? {} : { cursor }) }
}

function nameOf({ address, stream }: Suppression): string {
  return stream === undefined ? address : `${address} (${stream})`
}

function keyOf({ address, reason, stream = '' }: Suppression): string {
  return JSON.stringify([address, stream, reason])
}
