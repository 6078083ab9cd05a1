import { useEffect, useRef } from 'preact/hooks'
import type { MessageRow } from '../viewModels.js'
import { Time, withLocalTimes } from './format.js'
import { hrefOf } from './navigation.js'
import { Badge } from './status.js'

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
        <a class="row-link" data-id={id} href={hrefOf(`messages/${id}`)}>
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
