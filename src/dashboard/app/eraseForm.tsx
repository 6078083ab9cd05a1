import { useRef, useState } from 'preact/hooks'
import type { Erasure } from '../../index.js'
import { Confirm } from './confirm.js'
import { plural } from './format.js'
import { Problem } from './notices.js'
import { callApi, messageOf } from './request.js'

interface Wish {
  address: string
  suppressions: boolean
}

/** A form to erase an address from everything that is kept. */
export function EraseAddress({ erased }: { erased: (sentence: string) => void }) {
  const form = useRef<HTMLFormElement>(null)
  const [unconfirmed, setUnconfirmed] = useState<Wish>()
  const [problem, setProblem] = useState('')
  const ask = (event: Event) => {
    event.preventDefault()
    if (form.current === null) return
    const fields = new FormData(form.current)
    const address = fields.get('address')
    if (typeof address === 'string')
      setUnconfirmed({ address: address.trim(), suppressions: fields.has('suppressions') })
  }
  const erase = (wish: Wish) => {
    callApi<Erasure>('erase', { body: wish }).then(
      (erasure) => {
        setProblem('')
        form.current?.reset()
        erased(sentenceOf(erasure))
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }
  return (
    <details class="more">
      <summary>Erase an address</summary>
      <form class="limits add-entry" ref={form} onSubmit={ask}>
        <label class="field">
          <span>Address</span>
          <input name="address" required maxLength={320} inputMode="email" autoComplete="off" />
        </label>
        <label class="field inline">
          <input type="checkbox" name="suppressions" />
          <span>Remove it from the suppressions, too: then it may be sent mail again</span>
        </label>
        <button class="button" type="submit">
          Erase
        </button>
        <Problem text={problem} />
      </form>
      {unconfirmed !== undefined && (
        <Confirm
          question={`Erase ${unconfirmed.address}?`}
          yes="Erase"
          answer={(yes) => {
            setUnconfirmed(undefined)
            if (yes) erase(unconfirmed)
          }}
        >
          <p>
            Its messages lose their content, those that wait for it only are cancelled, and its files in the
            archive are deleted. This can’t be undone.
          </p>
        </Confirm>
      )}
    </details>
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
    left > 0 ? ` ${plural(left, 'message')} not settled or forwarded yet: erase it again later.` : ''
  const sealed = unreadable > 0 ? ` ${plural(unreadable, 'message')} can’t be decrypted.` : ''
  return `${parts.join(', ')}.${again}${sealed}`
}
