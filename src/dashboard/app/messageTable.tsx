import { useEffect, useRef, useState } from 'preact/hooks'
import type { Action, MessageRow } from '../viewModels.js'
import { moment, plural, Time, withLocalTimes } from './format.js'
import { hrefOf } from './navigation.js'
import { ACTION_NAMES, ACTIONS, Badge } from './status.js'

interface MessageTableProps {
  rows: readonly MessageRow[]
  selected: ReadonlySet<string>
  select: (ids: ReadonlySet<string>) => void
  /** Whether the rows are about to be replaced. */
  faded: boolean
}

/** Statuses that need no explanation. */
const SELF_EXPLANATORY: ReadonlySet<string> = new Set(['queued', 'sending', 'sent', 'cancelled'])

export function MessageTable({ rows, selected, select, faded }: MessageTableProps) {
  const body = useRef<HTMLTableSectionElement>(null)
  useKeys(body)
  const toggle = (id: string) => {
    const next = new Set(selected)
    if (!next.delete(id)) next.add(id)
    select(next)
  }
  const all = rows.every(({ id }) => selected.has(id))
  return (
    <table class={faded ? 'messages faded' : 'messages'}>
      <caption class="hidden-label">
        Messages, newest first. Press j or k to move down or up, and x to select.
      </caption>
      <thead>
        <tr>
          <th scope="col">
            <input
              type="checkbox"
              aria-label="Select all on this page"
              checked={all}
              onChange={() => select(new Set(all ? [] : rows.map(({ id }) => id)))}
            />
          </th>
          <th scope="col">Status</th>
          <th scope="col">Recipient</th>
          <th scope="col">Message</th>
          <th scope="col">Attempts</th>
          <th scope="col">Accepted</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {rows.map((row) => (
          <Row row={row} selected={selected.has(row.id)} toggle={() => toggle(row.id)} key={row.id} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ row, selected, toggle }: { row: MessageRow; selected: boolean; toggle: () => void }) {
  const { id, status, uncertain, to, more, subject, template, tags, acceptedAt, attempts, why } = row
  return (
    <tr class={selected ? 'selected' : ''}>
      <td class="cell-select">
        <input
          type="checkbox"
          aria-label={`Select the message to ${to}`}
          checked={selected}
          onChange={toggle}
        />
      </td>
      <td class="cell-status">
        <Badge status={status} uncertain={uncertain} />
      </td>
      <td class="cell-to">
        <a class="row-link" href={hrefOf(`messages/${id}`)}>
          {to}
        </a>
        {more > 0 && <span class="dim"> +{more}</span>}
      </td>
      <td class="cell-what">
        <span class="what">{subject ?? template ?? '(subject is rendered when the message is sent)'}</span>
        {subject !== undefined && template !== undefined && <span class="dim"> {template}</span>}
        {tags.map((tag) => (
          <span class="tag" key={tag}>
            {tag}
          </span>
        ))}
        {!SELF_EXPLANATORY.has(status) && <span class="why">{withLocalTimes(why)}</span>}
      </td>
      <td class="cell-attempts number">{attempts}</td>
      <td class="cell-time number">
        <Time at={acceptedAt} />
      </td>
    </tr>
  )
}

/** j and k move the focus and x selects a row. Enter opens it, because the focus is on a link. */
function useKeys(body: { current: HTMLTableSectionElement | null }): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const { target, key, ctrlKey, metaKey, altKey } = event
      if (ctrlKey || metaKey || altKey || document.querySelector('dialog[open]') !== null) return
      if (target instanceof HTMLElement && target.matches('select, textarea, input:not([type=checkbox])'))
        return
      const links = [...(body.current?.querySelectorAll<HTMLAnchorElement>('.row-link') ?? [])]
      const row = document.activeElement?.closest('tbody tr')
      const at = links.findIndex((link) => link.closest('tr') === row)
      if (key === 'j') links[Math.min(at + 1, links.length - 1)]?.focus()
      else if (key === 'k') links[Math.max(at - 1, 0)]?.focus()
      else if (key === 'x') row?.querySelector<HTMLInputElement>('input')?.click()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [])
}

/** An action for the selected messages, or for all messages that match the filters. */
export interface BulkRequest {
  action: Action
  all: boolean
}

interface BulkBarProps {
  selected: readonly MessageRow[]
  shown: readonly MessageRow[]
  filters: Record<string, string>
  /** @param progress receives the number of messages changed so far, and returns whether to continue */
  perform: (request: BulkRequest, progress: (done: number) => boolean) => Promise<void>
  clear: () => void
}

export function BulkBar({ selected, shown, filters, perform, clear }: BulkBarProps) {
  const [unconfirmed, setUnconfirmed] = useState<BulkRequest>()
  const [done, setDone] = useState<number>()
  const stopped = useRef(false)
  const run = (request: BulkRequest) => {
    setUnconfirmed(undefined)
    stopped.current = false
    setDone(0)
    void perform(request, (count) => {
      setDone(count)
      return !stopped.current
    }).finally(() => setDone(undefined))
  }
  if (done !== undefined)
    return (
      <div class="bulk" role="group" aria-label="Bulk action in progress">
        <span>{plural(done, 'message')} processed…</span>
        <button class="button small" type="button" onClick={() => (stopped.current = true)}>
          Stop
        </button>
      </div>
    )
  const some = selected.length > 0
  const rows = some ? selected : shown
  // “All matching” is offered only with a status filter: then the rows on this page stand for all messages.
  const possible = ACTION_NAMES.filter((action) => rows.some(({ status }) => ACTIONS[action].for.has(status)))
  return (
    <div
      class="bulk"
      role="group"
      aria-label={some ? 'Actions for selected messages' : 'Actions for all matching messages'}
    >
      {some && (
        <>
          <span>{selected.length} selected</span>
          {possible.map((action) => (
            <button
              class="button small"
              type="button"
              key={action}
              onClick={() => run({ action, all: false })}
            >
              {ACTIONS[action].name}
            </button>
          ))}
          <button class="button small quiet" type="button" onClick={clear}>
            Clear selection
          </button>
        </>
      )}
      {!some &&
        filters['status'] !== undefined &&
        possible.map((action) => (
          <button
            class="button small"
            type="button"
            key={action}
            onClick={() => setUnconfirmed({ action, all: true })}
          >
            {ACTIONS[action].matching}
          </button>
        ))}
      {unconfirmed !== undefined && (
        <Confirm
          request={unconfirmed}
          filters={filters}
          answer={(yes) => {
            if (yes) run(unconfirmed)
            else setUnconfirmed(undefined)
          }}
        />
      )}
    </div>
  )
}

interface ConfirmProps {
  request: BulkRequest
  filters: Record<string, string>
  answer: (yes: boolean) => void
}

function Confirm({ request: { action }, filters, answer }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby="confirm-title" onClose={() => answer(false)}>
      <h2 id="confirm-title">{ACTIONS[action].matching}?</h2>
      <p>This applies to every message, on this page and all others, that matches:</p>
      <dl class="facts">
        {Object.entries(filters).map(([name, value]) => (
          <div key={name}>
            <dt>{FILTER_LABELS[name] ?? name}</dt>
            <dd>{name === 'since' || name === 'until' ? moment(Number(value)) : value}</dd>
          </div>
        ))}
      </dl>
      <div class="confirm-buttons">
        <button class="button" type="button" onClick={() => answer(false)}>
          Go back
        </button>
        <button class="button primary" type="button" onClick={() => answer(true)}>
          {ACTIONS[action].all}
        </button>
      </div>
    </dialog>
  )
}

const FILTER_LABELS: Record<string, string> = {
  q: 'Search',
  status: 'Status',
  template: 'Template',
  tag: 'Tag',
  recipient: 'Recipient',
  since: 'Accepted since',
  until: 'Accepted until',
}
