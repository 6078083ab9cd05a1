import { useRef, useState } from 'preact/hooks'
import type { Suppression, SuppressionReason } from '../../index.js'
import { Problem } from './notices.js'
import { callApi, messageOf } from './request.js'

/** The reasons in words. */
export const REASONS: Record<SuppressionReason, string> = {
  bounce: 'Bounced',
  complaint: 'Complained',
  unsubscribe: 'Unsubscribed',
  manual: 'Added by a person',
}

/** A form to add an address to the list. */
export function AddEntry({ added }: { added: (entry: Suppression) => void }) {
  const form = useRef<HTMLFormElement>(null)
  const [problem, setProblem] = useState('')
  const add = (event: Event) => {
    event.preventDefault()
    if (form.current === null) return
    const fields = [...new FormData(form.current)].flatMap(([name, value]) => {
      const text = typeof value === 'string' ? value.trim() : ''
      return text === '' ? [] : [[name, text]]
    })
    callApi<Suppression>('suppressions', { body: Object.fromEntries(fields) as object }).then(
      (entry) => {
        setProblem('')
        form.current?.reset()
        added(entry)
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }
  return (
    <details class="more">
      <summary>Add an address</summary>
      <form class="limits add-entry" ref={form} onSubmit={add}>
        <label class="field">
          <span>Address</span>
          <input name="address" required maxLength={320} inputMode="email" autoComplete="off" />
        </label>
        <label class="field">
          <span>Reason</span>
          <select name="reason">
            <option value="manual">{REASONS.manual}</option>
            {(['unsubscribe', 'complaint', 'bounce'] as const).map((reason) => (
              <option value={reason} key={reason}>
                {REASONS[reason]}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Stream</span>
          <input name="stream" placeholder="every stream" maxLength={64} />
        </label>
        <label class="field">
          <span>Note</span>
          <input name="detail" maxLength={500} />
        </label>
        <button class="button" type="submit">
          Add
        </button>
        <Problem text={problem} />
      </form>
    </details>
  )
}
