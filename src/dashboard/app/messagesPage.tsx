import { useEffect, useRef, useState } from 'preact/hooks'
import type { BulkResult, MessageRow, MessageRows } from '../viewModels.js'
import { Filters } from './filters.js'
import { plural } from './format.js'
import { changeKeyOf, useLive } from './liveState.js'
import { BulkBar, MessageTable, type BulkRequest } from './messageTable.js'
import { hrefOf } from './navigation.js'
import { get, messageOf, post, RequestError } from './request.js'
import { ACTIONS } from './status.js'

/** The list and the scroll position at the time the page was left. */
let lastVisit: { shown: { search: string }; scroll: number } | undefined

/** A state that survives leaving the page and returning to the same search, as does the scroll position. */
function usePersistentList<T extends { search: string }>(
  search: string,
): [T | undefined, (shown: T) => void] {
  const back = lastVisit?.shown.search === search ? lastVisit : undefined
  const [shown, setShown] = useState(back?.shown as T | undefined)
  const last = useRef(shown)
  last.current = shown
  useEffect(() => {
    // Runs after the page has scrolled to its top.
    if (back !== undefined) setTimeout(() => scrollTo(0, back.scroll))
    return () => {
      if (last.current !== undefined) lastVisit = { shown: last.current, scroll: scrollY }
    }
  }, [])
  return [shown, setShown]
}

/** Minimum milliseconds between two reloads of a list that changes. */
const REFRESH = 2_000
const PAGE_SIZE = 50
/** Shown when the server responds to a search with `UNSUPPORTED`. */
const SEARCH_UNSUPPORTED =
  'With the Redis queue, search finds only complete message IDs. To find a recipient, template, or tag, use “More filters” above.'
/** Maximum requests for one page: a search through many messages returns its matches in parts. */
const MAX_REQUESTS = 40

interface Listed extends MessageRows {
  /** The query that these rows answer. */
  search: string
}

/** Finds messages and applies bulk actions to them. */
export function Messages({ query }: { query: URLSearchParams }) {
  const search = query.toString()
  const filters = Object.fromEntries([...query].filter(([name]) => name !== 'cursor'))
  const [listed, setListed] = usePersistentList<Listed>(search)
  const [problem, setProblem] = useState('')
  /** Why this queue can't run the search. */
  const [hint, setHint] = useState('')
  const [news, setNews] = useState('')
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [changes, setChanges] = useState(0)
  const reloads = useReloads(query.has('cursor') || selected.size > 0)

  useEffect(() => setSelected(new Set()), [search])
  useEffect(() => {
    const controller = new AbortController()
    const show = (page: MessageRows) => setListed({ ...page, search })
    load(query, controller.signal, show).then(
      () => {
        setProblem('')
        setHint('')
      },
      (error: unknown) => {
        if (controller.signal.aborted) return
        const unsupported = error instanceof RequestError && error.code === 'UNSUPPORTED'
        setHint(unsupported ? SEARCH_UNSUPPORTED : '')
        setProblem(unsupported ? '' : messageOf(error))
        if (unsupported) show({ rows: [] })
      },
    )
    return () => controller.abort()
  }, [search, reloads, changes])

  const rows = listed?.rows ?? []
  const perform = async (request: BulkRequest, progress: (done: number) => boolean) => {
    let done = 0
    let passed = 0
    let cursor: string | undefined
    try {
      do {
        const selection = request.all
          ? { query: { ...filters, ...(cursor === undefined ? {} : { cursor }) } }
          : { ids: [...selected] }
        const step = await post<BulkResult>('bulk', { action: request.action, ...selection })
        done += step.done
        passed += step.passed
        cursor = step.cursor
      } while (cursor !== undefined && progress(done))
      setProblem('')
      setNews(outcomeOf(request, done, passed))
    } catch (error) {
      setNews('')
      setProblem(
        `${done > 0 ? `${outcomeOf(request, done, passed)} Then an error occurred: ` : ''}${messageOf(error)}`,
      )
    }
    setSelected(new Set())
    setChanges((before) => before + 1)
  }

  return (
    <>
      <h1>Messages</h1>
      <Filters query={query} />
      <BulkBar
        selected={rows.filter(({ id }) => selected.has(id))}
        shown={rows}
        filters={filters}
        perform={perform}
        clear={() => setSelected(new Set())}
      />
      <p class="news" role="status">
        {news}
      </p>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {hint !== '' && (
        <p class="empty" role="status">
          {hint}
        </p>
      )}
      {listed !== undefined && rows.length === 0 && hint === '' && <NoMessages filtered={search !== ''} />}
      {rows.length > 0 && (
        <MessageTable
          rows={rows}
          selected={selected}
          select={setSelected}
          faded={listed?.search !== search}
        />
      )}
      <nav class="pager" aria-label="Pages of messages">
        {query.has('cursor') && (
          <a class="button" href={hrefOf('messages', filters)}>
            Newest
          </a>
        )}
        {listed?.cursor !== undefined && (
          <a class="button" href={hrefOf('messages', { ...filters, cursor: listed.cursor })}>
            Older
          </a>
        )}
      </nav>
    </>
  )
}

function NoMessages({ filtered }: { filtered: boolean }) {
  return (
    <p class="empty">
      {filtered ? 'No messages match. ' : 'No messages yet.'}
      {filtered && <a href={hrefOf('messages')}>Show all</a>}
    </p>
  )
}

/** A number that grows when the list should be reloaded. It stays the same while `paused`. */
function useReloads(paused: boolean): number {
  const change = changeKeyOf(useLive())
  const [count, setCount] = useState(0)
  const last = useRef(0)
  useEffect(() => {
    if (paused || change === '') return
    const wait = Math.max(0, last.current + REFRESH - Date.now())
    const timer = setTimeout(() => {
      last.current = Date.now()
      setCount((before) => before + 1)
    }, wait)
    return () => clearTimeout(timer)
  }, [change, paused])
  return count
}

/** Loads a page and shows it as it fills. */
async function load(
  query: URLSearchParams,
  signal: AbortSignal,
  show: (page: MessageRows) => void,
): Promise<void> {
  const rows: MessageRow[] = []
  let cursor = query.get('cursor') ?? ''
  for (let requests = 0; requests < MAX_REQUESTS; requests++) {
    const params = new URLSearchParams(query)
    params.set('limit', String(PAGE_SIZE - rows.length))
    if (cursor !== '') params.set('cursor', cursor)
    const page = await get<MessageRows>(`messages?${params.toString()}`, signal)
    rows.push(...page.rows)
    cursor = page.cursor ?? ''
    const done = cursor === '' || rows.length >= PAGE_SIZE
    if (done || rows.length > 0) show({ rows: [...rows], ...(cursor === '' ? {} : { cursor }) })
    if (done) return
  }
  show({ rows, cursor })
}

function outcomeOf({ action }: BulkRequest, done: number, passed: number): string {
  const skipped =
    passed === 0 ? '' : ` Skipped ${plural(passed, 'message')} that had changed in the meantime.`
  return `${ACTIONS[action].done(plural(done, 'message'))}${skipped}`
}
