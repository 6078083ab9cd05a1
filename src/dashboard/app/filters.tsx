import { useEffect, useRef } from 'preact/hooks'
import { useLive } from './liveState.js'
import { go, hrefOf } from './navigation.js'
import { STATUSES } from './status.js'

/** Milliseconds between the last keystroke and the search. */
const DEBOUNCE = 250
const TEXT_FIELDS = ['q', 'template', 'tag', 'recipient'] as const
const TIME_FIELDS = ['since', 'until'] as const

/** The search form. The query is part of the URL, so that a search can be linked to and is in the browser’s history. */
export function Filters({ query }: { query: URLSearchParams }) {
  const form = useRef<HTMLFormElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const search = query.toString()
  const scans = useLive().tick?.activity.search === 'scan'

  // The URL determines every field, except the one that the user is typing in.
  useEffect(() => {
    for (const field of form.current?.querySelectorAll<HTMLInputElement | HTMLSelectElement>('[name]') ?? [])
      if (field !== document.activeElement) field.value = valueOf(field.name, query)
  }, [search])
  useEffect(() => () => clearTimeout(timer.current), [])
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const { target } = event
      if (event.key !== '/' || (target instanceof HTMLElement && target.matches('input, select, textarea')))
        return
      event.preventDefault()
      form.current?.querySelector<HTMLInputElement>('[name=q]')?.focus()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [])

  const apply = (replace: boolean) => {
    clearTimeout(timer.current)
    if (form.current === null) return
    const href = hrefOf('messages', queryOf(new FormData(form.current)))
    if (href !== location.hash) go(href, { replace })
  }
  return (
    <form
      class="filters"
      role="search"
      ref={form}
      onSubmit={(event) => {
        event.preventDefault()
        apply(false)
      }}
      onInput={() => {
        clearTimeout(timer.current)
        timer.current = setTimeout(() => apply(true), DEBOUNCE)
      }}
    >
      <label class="field search">
        <span>Search</span>
        <input
          type="search"
          name="q"
          placeholder="Recipient, subject, template, tag, or part of an ID"
          aria-describedby={scans ? 'search-hint' : undefined}
        />
        {scans && (
          <span class="search-hint" id="search-hint">
            This queue has no search index: a search reads messages from the newest on, and goes on with
            “Older”.
          </span>
        )}
      </label>
      <label class="field">
        <span>Status</span>
        <select name="status">
          <option value="">Any</option>
          {STATUSES.map((status) => (
            <option value={status} key={status}>
              {status}
            </option>
          ))}
        </select>
      </label>
      <details class="more" open={[...TEXT_FIELDS.slice(1), ...TIME_FIELDS].some((name) => query.has(name))}>
        <summary>More filters</summary>
        <div class="more-fields">
          <label class="field">
            <span>Template</span>
            <input name="template" />
          </label>
          <label class="field">
            <span>Tag</span>
            <input name="tag" />
          </label>
          <label class="field">
            <span>Full recipient address</span>
            <input name="recipient" type="email" inputMode="email" />
          </label>
          <label class="field">
            <span>Accepted since</span>
            <input name="since" type="datetime-local" />
          </label>
          <label class="field">
            <span>Accepted until</span>
            <input name="until" type="datetime-local" />
          </label>
        </div>
      </details>
    </form>
  )
}

/** Times are milliseconds since the epoch in the URL and local time in the form. */
function valueOf(name: string, query: URLSearchParams): string {
  const value = query.get(name) ?? ''
  if (!isTime(name) || value === '') return value
  const time = Number(value)
  if (!Number.isFinite(time)) return ''
  const local = time - new Date(time).getTimezoneOffset() * 60_000
  return new Date(local).toISOString().slice(0, 16)
}

function queryOf(form: FormData): Record<string, string> {
  const query: Record<string, string> = {}
  for (const name of ['status', ...TEXT_FIELDS, ...TIME_FIELDS]) {
    const input = form.get(name)
    const value = typeof input === 'string' ? input.trim() : ''
    if (value !== '') query[name] = isTime(name) ? String(Date.parse(value)) : value
  }
  return query
}

function isTime(name: string): boolean {
  return TIME_FIELDS.some((time) => time === name)
}
