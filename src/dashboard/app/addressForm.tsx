import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import type { Erasure, Suppression, SuppressionReason } from '../../index.js'
import { Confirm } from './confirm.js'
import { plural } from './format.js'
import { Problem } from './notices.js'
import { callApi, messageOf } from './request.js'

interface AddressFormProps {
  title: string
  button: string
  /** Returns whether it was done: the form is emptied then. Rejects with the problem that the form shows. */
  submit: (fields: FormData) => Promise<boolean>
  /** The fields besides the address. */
  children: ComponentChildren
}

/** A form about one address, which opens on request. */
function AddressForm({ title, button, submit, children }: AddressFormProps) {
  const form = useRef<HTMLFormElement>(null)
  const [problem, setProblem] = useState('')
  const onSubmit = (event: Event) => {
    event.preventDefault()
    if (form.current === null) return
    submit(new FormData(form.current)).then(
      (done) => {
        if (!done) return
        setProblem('')
        form.current?.reset()
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }
  return (
    <details class="more">
      <summary>{title}</summary>
      <form class="limits add-entry" ref={form} onSubmit={onSubmit}>
        <label class="field">
          <span>Address</span>
          <input name="address" required maxLength={320} inputMode="email" autoComplete="off" />
        </label>
        {children}
        <button class="button" type="submit">
          {button}
        </button>
        <Problem text={problem} />
      </form>
    </details>
  )
}

/** The reasons of a suppression in words. */
export const REASONS: Record<SuppressionReason, string> = {
  bounce: 'Bounced',
  complaint: 'Complained',
  unsubscribe: 'Unsubscribed',
  manual: 'Added by a person',
}

/** A form to add an address to the list of suppressions. */
export function AddEntry({ added }: { added: (entry: Suppression) => void }) {
  const add = async (form: FormData) => {
    const fields = [...form].flatMap(([name, value]) => {
      const text = typeof value === 'string' ? value.trim() : ''
      return text === '' ? [] : [[name, text]]
    })
    added(await callApi<Suppression>('suppressions', { body: Object.fromEntries(fields) as object }))
    return true
  }
  return (
    <AddressForm title="Add an address" button="Add" submit={add}>
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
    </AddressForm>
  )
}

interface Question {
  address: string
  answer: (yes: boolean) => void
}

/** A form to erase an address from everything that is kept. */
export function EraseAddress({ erased }: { erased: (sentence: string) => void }) {
  const [question, setQuestion] = useState<Question>()
  const erase = async (form: FormData) => {
    const entered = form.get('address')
    const address = typeof entered === 'string' ? entered.trim() : ''
    const confirmed = await new Promise<boolean>((answer) => setQuestion({ address, answer }))
    setQuestion(undefined)
    if (!confirmed) return false
    const body = { address, suppressions: form.has('suppressions') }
    erased(sentenceOf(await callApi<Erasure>('erase', { body })))
    return true
  }
  return (
    <>
      <AddressForm title="Erase an address" button="Erase" submit={erase}>
        <label class="field inline">
          <input type="checkbox" name="suppressions" />
          <span>Also remove it from the suppressions, so that it can get mail again</span>
        </label>
      </AddressForm>
      {question !== undefined && (
        <Confirm question={`Erase ${question.address}?`} yes="Erase" answer={question.answer}>
          <p>
            Messages to this address lose their content. Messages that wait only for this address are
            cancelled. Its files in the archive are deleted. This can’t be undone.
          </p>
        </Confirm>
      )}
    </>
  )
}

function sentenceOf({ messages, cancelled, inProgress, unreadable, ...others }: Erasure): string {
  const { schedules, webhookEvents, archived = 0, spooled = 0 } = others
  const parts = [
    `Erased from ${plural(messages, 'message')}`,
    ...(cancelled > 0 ? [`${cancelled} of them cancelled`] : []),
    ...(schedules > 0 ? [plural(schedules, 'schedule')] : []),
    ...(webhookEvents > 0 ? [plural(webhookEvents, 'webhook event')] : []),
    ...(archived > 0 ? [plural(archived, 'archived file')] : []),
  ]
  const left = inProgress + spooled
  const again =
    left > 0 ? ` ${plural(left, 'message')} not settled or forwarded yet: erase the address again later.` : ''
  const sealed = unreadable > 0 ? ` ${plural(unreadable, 'message')} can’t be decrypted.` : ''
  return `${parts.join(', ')}.${again}${sealed}`
}
