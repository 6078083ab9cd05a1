import { useRef, useState } from 'preact/hooks'
import type { MessageCount } from '../../index.js'
import type { Action, MessageRow } from '../viewModels.js'
import { Confirm } from './confirm.js'
import { count, moment, plural } from './format.js'
import { useMay } from './scopes.js'
import { ACTION_NAMES, ACTIONS } from './status.js'

/** An action for the selected messages, or for all messages that match the filters. */
export interface BulkRequest {
  action: Action
  all: boolean
  /** The selected messages. */
  ids: readonly string[]
}

interface BulkBarProps {
  selected: readonly MessageRow[]
  shown: readonly MessageRow[]
  /** How many messages match the filters; undefined until that is known. */
  total: MessageCount | undefined
  /** Whether all matching messages are selected, also those on other pages. */
  allSelected: boolean
  selectAll: () => void
  filters: Record<string, string>
  /** @param progress receives the number of messages changed so far, and returns whether to continue */
  perform: (request: BulkRequest, progress: (done: number) => boolean) => Promise<void>
  clear: () => void
}

/** “121”, or “more than 10,000” if not all were counted. */
export function totalText({ count: number, exact }: MessageCount): string {
  return exact ? count(number) : `more than ${count(number)}`
}

/** The actions on the selected messages. Each button says how many messages it changes. */
export function BulkBar(props: BulkBarProps) {
  const { selected, shown, total, allSelected, selectAll, filters, perform, clear } = props
  const [unconfirmed, setUnconfirmed] = useState<BulkRequest>()
  const [done, setDone] = useState<number>()
  const stopped = useRef(false)
  const mayManage = useMay('manage')
  const run = (request: BulkRequest) => {
    setUnconfirmed(undefined)
    stopped.current = false
    setDone(0)
    void perform(request, (number) => {
      setDone(number)
      return !stopped.current
    }).finally(() => setDone(undefined))
  }
  if (!mayManage) return null
  if (done !== undefined)
    return (
      <div class="bulk" role="group" aria-label="Bulk action in progress">
        <span>{plural(done, 'message')} processed…</span>
        <button class="button small" type="button" onClick={() => (stopped.current = true)}>
          Stop
        </button>
      </div>
    )
  if (selected.length === 0 && !allSelected) return null
  const more = total !== undefined && (!total.exact || total.count > selected.length)
  const applicable = (action: Action) =>
    selected.flatMap(({ id, status }) => (ACTIONS[action].for.has(status) ? [id] : []))
  return (
    <div class="bulk" role="group" aria-label="Actions for selected messages">
      <span>
        {allSelected && total !== undefined
          ? `All ${totalText(total)} that match are selected`
          : `${count(selected.length)} selected`}
      </span>
      {!allSelected && more && shown.every(({ id }) => selected.some((row) => row.id === id)) && (
        <button class="button small" type="button" onClick={selectAll}>
          Select all {totalText(total)} that match
        </button>
      )}
      {ACTION_NAMES.map((action) => {
        const ids = applicable(action)
        if (ids.length === 0) return null
        return (
          <button
            class="button small"
            type="button"
            key={action}
            onClick={() => setUnconfirmed({ action, all: allSelected, ids })}
          >
            {ACTIONS[action].name} {allSelected && total !== undefined ? totalText(total) : count(ids.length)}
          </button>
        )
      })}
      <button class="button small quiet" type="button" onClick={clear}>
        Clear selection
      </button>
      {unconfirmed !== undefined && (
        <ConfirmAction
          request={unconfirmed}
          selected={selected.length}
          total={total}
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
  selected: number
  total: MessageCount | undefined
  filters: Record<string, string>
  answer: (yes: boolean) => void
}

/** Asks once before an action, with the number of messages that it changes. */
function ConfirmAction({ request: { action, all, ids }, selected, total, filters, answer }: ConfirmProps) {
  const { verb } = ACTIONS[action]
  const messages = all && total !== undefined ? `${totalText(total)} messages` : plural(ids.length, 'message')
  return (
    <Confirm question={`${verb(messages)}?`} yes={verb(messages)} answer={answer}>
      {all ? (
        <>
          <p>
            This applies to every message that matches, on this page and all others. Messages whose status
            doesn’t allow it stay as they are.
          </p>
          <dl class="facts">
            {Object.entries(filters).map(([name, value]) => (
              <div key={name}>
                <dt>{FILTER_LABELS[name] ?? name}</dt>
                <dd>{name === 'since' || name === 'until' ? moment(Number(value)) : value}</dd>
              </div>
            ))}
          </dl>
        </>
      ) : (
        selected > ids.length && (
          <p>
            {plural(
              selected - ids.length,
              'other selected message stays as it is: its',
              'other selected messages stay as they are: their',
            )}{' '}
            status doesn’t allow this.
          </p>
        )
      )}
    </Confirm>
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
