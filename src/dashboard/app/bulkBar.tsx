import { useEffect, useRef, useState } from 'preact/hooks'
import type { MessageRow } from '../viewModels.js'
import { plural } from './format.js'
import { type Action, ACTION_NAMES, ACTIONS } from './status.js'

/** What somebody wants done: to those selected, or to all that fit the filters. */
export interface Wish {
  action: Action
  all: boolean
}

interface BulkProps {
  selected: readonly MessageRow[]
  shown: readonly MessageRow[]
  filters: Record<string, string>
  /** @param progress told how many are done; answers whether to go on */
  fulfil: (wish: Wish, progress: (done: number) => boolean) => Promise<void>
  clear: () => void
}

export function Bulk({ selected, shown, filters, fulfil, clear }: BulkProps) {
  const [asked, setAsked] = useState<Wish>()
  const [done, setDone] = useState<number>()
  const stopped = useRef(false)
  const run = (wish: Wish) => {
    setAsked(undefined)
    stopped.current = false
    setDone(0)
    void fulfil(wish, (count) => {
      setDone(count)
      return !stopped.current
    }).finally(() => setDone(undefined))
  }
  if (done !== undefined)
    return (
      <div class="bulk" role="group" aria-label="At work">
        <span>{plural(done, 'message')} so far…</span>
        <button class="button small" type="button" onClick={() => (stopped.current = true)}>
          Stop
        </button>
      </div>
    )
  const some = selected.length > 0
  const rows = some ? selected : shown
  // Of those that fit only what one of them allows: all of a kind fit where the status is filtered for.
  const possible = ACTION_NAMES.filter((action) => rows.some(({ status }) => ACTIONS[action].for.has(status)))
  return (
    <div class="bulk" role="group" aria-label={some ? 'With those selected' : 'With all that fit'}>
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
            Select none
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
            onClick={() => setAsked({ action, all: true })}
          >
            {ACTIONS[action].name} all that fit…
          </button>
        ))}
      {asked !== undefined && (
        <Confirm
          wish={asked}
          filters={filters}
          answer={(yes) => {
            if (yes) run(asked)
            else setAsked(undefined)
          }}
        />
      )}
    </div>
  )
}

interface ConfirmProps {
  wish: Wish
  filters: Record<string, string>
  answer: (yes: boolean) => void
}

function Confirm({ wish: { action }, filters, answer }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="confirm" aria-labelledby="confirm-title" onClose={() => answer(false)}>
      <h2 id="confirm-title">{ACTIONS[action].name} all that fit?</h2>
      <p>This is for every message, on this page and beyond, with:</p>
      <dl class="facts">
        {Object.entries(filters).map(([name, value]) => (
          <div key={name}>
            <dt>{NAMES[name] ?? name}</dt>
            <dd>{name === 'since' || name === 'until' ? new Date(Number(value)).toLocaleString() : value}</dd>
          </div>
        ))}
      </dl>
      <div class="confirm-buttons">
        <button class="button" type="button" onClick={() => answer(false)}>
          Leave them
        </button>
        <button class="button primary" type="button" onClick={() => answer(true)}>
          {ACTIONS[action].name} all
        </button>
      </div>
    </dialog>
  )
}

const NAMES: Record<string, string> = {
  q: 'Search',
  status: 'Status',
  template: 'Template',
  tag: 'Tag',
  recipient: 'Recipient',
  since: 'Accepted since',
  until: 'Accepted until',
}
