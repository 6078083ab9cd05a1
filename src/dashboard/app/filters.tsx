import { useLive } from './liveState.js'
import { SearchForm } from './searchForm.js'
import { STATUSES } from './status.js'

const TEXT_FIELDS = ['q', 'template', 'tag', 'recipient'] as const
const TIME_FIELDS = ['since', 'until'] as const
const NAMES = ['status', ...TEXT_FIELDS, ...TIME_FIELDS]

/** The search form of the messages. */
export function Filters({ query }: { query: URLSearchParams }) {
  const scans = useLive().tick?.activity.search === 'scan'
  return (
    <SearchForm place="messages" query={query} names={NAMES} toField={valueOf} toQuery={textOf}>
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
            This queue has no search index: a search reads messages from newest to oldest, and “Older”
            continues it.
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
    </SearchForm>
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

function textOf(name: string, value: string): string {
  return isTime(name) ? String(Date.parse(value)) : value
}

function isTime(name: string): boolean {
  return TIME_FIELDS.some((time) => time === name)
}
