import { useEffect, useRef, useState } from 'preact/hooks'
import type { MessageCount } from '../../index.js'
import type { BulkResult, MessageRow, MessageRows } from '../viewModels.js'
import { BulkBar, type BulkRequest, totalText } from './bulkBar.js'
import { Filters } from './filters.js'
import { plural } from './format.js'
import { changeKeyOf, useLive } from './liveState.js'
import { MessageTable } from './messageTable.js'
import { hrefOf } from './navigation.js'
import { News, Problem } from './notices.js'
import { get, messageOf, post, urlOf } from './request.js'
import { ACTIONS } from './status.js'

/** The page at the time it was left. */
interface Visit {
  listed: Listed
  selected: ReadonlySet<string>
  total: MessageCount | undefined
  scroll: number
  /** Id of the message whose link had the focus. */
  focused: string | undefined
}

let lastVisit: Visit | undefined

/** The messages of the last list, in its order, and its search. */
export function lastListed(): { search: string; ids: readonly string[] } {
  const { search = '', rows = [] } = lastVisit?.listed ?? {}
  return { search, ids: rows.map(({ id }) => id) }
}

/** Returns the last visit, if it was to the same search, and restores its scroll position and focus. */
function useLastVisit(
  search: string,
  now: () => Pick<Visit, 'selected' | 'total'> & { listed: Listed | undefined },
) {
  const [back] = useState(lastVisit?.listed.search === search ? lastVisit : undefined)
  const current = useRef(now)
  current.current = now
  useEffect(() => {
    let focused: string | undefined
    const noteFocus = ({ target }: FocusEvent) => {
      focused = target instanceof HTMLElement ? target.dataset['id'] : undefined
    }
    document.addEventListener('focusin', noteFocus)
    // Runs after the page has scrolled to its top and has the focus.
    if (back !== undefined)
      setTimeout(() => {
        scrollTo(0, back.scroll)
        document
          .querySelector<HTMLElement>(`[data-id="${back.focused ?? ''}"]`)
          ?.focus({ preventScroll: true })
      })
    let scroll = 0
    const noteScroll = ({ target }: MouseEvent) => {
      if (target instanceof Element && target.closest('a') !== null) scroll = scrollY
    }
    // The position at the click: when the page is replaced, the browser may have changed it.
    document.addEventListener('click', noteScroll, { capture: true })
    return () => {
      document.removeEventListener('focusin', noteFocus)
      document.removeEventListener('click', noteScroll, { capture: true })
      const { listed, selected, total } = current.current()
      if (listed !== undefined) lastVisit = { listed, selected, total, scroll, focused }
    }
  }, [])
  return back
}

/** Minimum milliseconds between two reloads of a list that changes. */
const REFRESH = 2_000
/** Minimum milliseconds between two counts of the matching messages. */
const RECOUNT = 10_000
const PAGE_SIZE = 50
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
  const back = useLastVisit(search, () => ({ listed, selected, total }))
  const [listed, setListed] = useState(back?.listed)
  const [problem, setProblem] = useState('')
  const [news, setNews] = useState('')
  const [selected, setSelected] = useState<ReadonlySet<string>>(back?.selected ?? new Set())
  const [allSelected, setAllSelected] = useState(false)
  const [changes, setChanges] = useState(0)
  const reloads = useReloads(query.has('cursor') || selected.size > 0)
  const total = useTotal(filters, changes, back?.total)

  const clear = () => {
    setSelected(new Set())
    setAllSelected(false)
  }
  const shownSearch = useRef(search)
  useEffect(() => {
    if (shownSearch.current !== search) clear()
    shownSearch.current = search
  }, [search])
  useEffect(() => {
    const controller = new AbortController()
    const show = (page: MessageRows) => setListed({ ...page, search })
    load(query, controller.signal, show).then(
      () => setProblem(''),
      (error: unknown) => {
        if (!controller.signal.aborted) setProblem(messageOf(error))
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
          : { ids: request.ids }
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
    clear()
    setChanges((before) => before + 1)
  }

  return (
    <>
      <h1>Messages</h1>
      <Filters query={query} />
      <BulkBar
        selected={rows.filter(({ id }) => selected.has(id))}
        shown={rows}
        total={total}
        allSelected={allSelected}
        selectAll={() => setAllSelected(true)}
        filters={filters}
        perform={perform}
        clear={clear}
      />
      <News text={news} />
      <Problem text={problem} />
      {total !== undefined && rows.length > 0 && <Total total={total} filters={filters} />}
      {listed !== undefined && rows.length === 0 && <NoMessages filtered={search !== ''} />}
      {rows.length > 0 && (
        <MessageTable
          rows={rows}
          selected={selected}
          select={(ids) => {
            setSelected(ids)
            setAllSelected(false)
          }}
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

/** How many messages match, and their export. */
function Total({ total, filters }: { total: MessageCount; filters: Record<string, string> }) {
  const filtered = Object.keys(filters).length > 0
  const query = new URLSearchParams(filters).toString()
  return (
    <p class="total">
      <span>
        {filtered ? `${totalText(total)} match` : plural(total.count, 'message')}
        {filtered && total.count === 1 && total.exact && 'es'}.
      </span>{' '}
      Export as{' '}
      <a href={urlOf(`export.csv?${query}`)} download>
        CSV
      </a>{' '}
      or{' '}
      <a href={urlOf(`export.ndjson?${query}`)} download>
        NDJSON
      </a>
    </p>
  )
}

/** The number of messages that match the filters, counted again for each search and now and then. */
function useTotal(
  filters: Record<string, string>,
  changes: number,
  before: MessageCount | undefined,
): MessageCount | undefined {
  const search = new URLSearchParams(filters).toString()
  const [total, setTotal] = useState(before && { ...before, search })
  const reloads = useReloads(false, RECOUNT)
  useEffect(() => {
    const controller = new AbortController()
    get<MessageCount>(`count?${search}`, controller.signal).then(
      (fresh) => setTotal({ ...fresh, search }),
      () => undefined,
    )
    return () => controller.abort()
  }, [search, changes, reloads])
  return total?.search === search ? total : undefined
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
function useReloads(paused: boolean, interval = REFRESH): number {
  const change = changeKeyOf(useLive())
  const [count, setCount] = useState(0)
  const last = useRef(0)
  useEffect(() => {
    if (paused || change === '') return
    const wait = Math.max(0, last.current + interval - Date.now())
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
    passed === 0
      ? ''
      : ` Skipped ${plural(passed, 'message')} that had changed in the meantime, or whose content is no longer kept.`
  return `${ACTIONS[action].done(plural(done, 'message'))}${skipped}`
}
