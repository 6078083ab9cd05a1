import { useEffect, useRef, useState } from 'preact/hooks'
import type { BulkResult, MessageRow, MessageRows } from '../viewModels.js'
import { Filters } from './filters.js'
import { plural } from './format.js'
import { changeKeyOf, useLive } from './liveState.js'
import { BulkBar, MessageTable, type BulkRequest } from './messageTable.js'
import { hrefOf } from './navigation.js'
import { get, messageOf, post, RequestError } from './request.js'
import { ACTIONS } from './status.js'

/** What was shown when one left, and how far one had scrolled. */
let left: { shown: { search: string }; scroll: number } | undefined

/** A state that is still there when one comes back to the same search, as is one's place in it. */
function useReturning<T extends { search: string }>(search: string): [T | undefined, (shown: T) => void] {
  const back = left?.shown.search === search ? left : undefined
  const [shown, setShown] = useState(back?.shown as T | undefined)
  const last = useRef(shown)
  last.current = shown
  useEffect(() => {
    // Later than the page's own beginning at its top.
    if (back !== undefined) setTimeout(() => scrollTo(0, back.scroll))
    return () => {
      if (last.current !== undefined) left = { shown: last.current, scroll: scrollY }
    }
  }, [])
  return [shown, setShown]
}

/** Milliseconds between two looks at a list that changes. */
const REFRESH = 2_000
const PAGE = 50
/** Said where a search is answered with `UNSUPPORTED`. */
const NO_TEXTS =
  'On Redis the search finds whole ids only. For a recipient, a template or a tag there are more filters above.'
/** Requests for one page at most: a search through many messages answers in pieces. */
const PIECES = 40

interface Listed extends MessageRows {
  /** What was asked for. */
  search: string
}

/** Finds messages, and does something about many of them. */
export function Messages({ query }: { query: URLSearchParams }) {
  const search = query.toString()
  const filters = Object.fromEntries([...query].filter(([name]) => name !== 'cursor'))
  const [listed, setListed] = useReturning<Listed>(search)
  const [problem, setProblem] = useState('')
  /** What this queue can't look for. */
  const [hint, setHint] = useState('')
  const [news, setNews] = useState('')
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [changes, setChanges] = useState(0)
  const stale = useFreshness(query.has('cursor') || selected.size > 0)

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
        setHint(unsupported ? NO_TEXTS : '')
        setProblem(unsupported ? '' : messageOf(error))
        if (unsupported) show({ rows: [] })
      },
    )
    return () => controller.abort()
  }, [search, stale, changes])

  const rows = listed?.rows ?? []
  const fulfil = async (wish: BulkRequest, progress: (done: number) => boolean) => {
    let done = 0
    let passed = 0
    let cursor: string | undefined
    try {
      do {
        const about = wish.all
          ? { query: { ...filters, ...(cursor === undefined ? {} : { cursor }) } }
          : { ids: [...selected] }
        const step = await post<BulkResult>('bulk', { action: wish.action, ...about })
        done += step.done
        passed += step.passed
        cursor = step.cursor
      } while (cursor !== undefined && progress(done))
      setProblem('')
      setNews(outcomeOf(wish, done, passed))
    } catch (error) {
      setNews('')
      setProblem(`${done > 0 ? `${outcomeOf(wish, done, passed)} Then: ` : ''}${messageOf(error)}`)
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
        fulfil={fulfil}
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
      {listed !== undefined && rows.length === 0 && hint === '' && <Nothing filtered={search !== ''} />}
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

function Nothing({ filtered }: { filtered: boolean }) {
  return (
    <p class="empty">
      {filtered ? 'No message fits. ' : 'There is no message yet.'}
      {filtered && <a href={hrefOf('messages')}>Show all</a>}
    </p>
  )
}

/** Grows when the list should be read anew; not while somebody is about to choose from it. */
function useFreshness(still: boolean): number {
  const change = changeKeyOf(useLive())
  const [count, setCount] = useState(0)
  const last = useRef(0)
  useEffect(() => {
    if (still || change === '') return
    const wait = Math.max(0, last.current + REFRESH - Date.now())
    const timer = setTimeout(() => {
      last.current = Date.now()
      setCount((before) => before + 1)
    }, wait)
    return () => clearTimeout(timer)
  }, [change, still])
  return count
}

/** A page, shown as it fills. */
async function load(
  query: URLSearchParams,
  signal: AbortSignal,
  show: (page: MessageRows) => void,
): Promise<void> {
  const rows: MessageRow[] = []
  let cursor = query.get('cursor') ?? ''
  for (let piece = 0; piece < PIECES; piece++) {
    const asked = new URLSearchParams(query)
    asked.set('limit', String(PAGE - rows.length))
    if (cursor !== '') asked.set('cursor', cursor)
    const page = await get<MessageRows>(`messages?${asked.toString()}`, signal)
    rows.push(...page.rows)
    cursor = page.cursor ?? ''
    const done = cursor === '' || rows.length >= PAGE
    if (done || rows.length > 0) show({ rows: [...rows], ...(cursor === '' ? {} : { cursor }) })
    if (done) return
  }
  show({ rows, cursor })
}

function outcomeOf({ action }: BulkRequest, done: number, passed: number): string {
  const late = passed === 0 ? '' : ` For ${plural(passed, 'message')} it was too late.`
  return `${plural(done, 'message')} ${ACTIONS[action].done}.${late}`
}
