import { useState } from 'preact/hooks'
import type { JsonObject, Receipt } from '../../index.js'
import { messageOf, post, root } from './api.js'

interface TestSendProps {
  place: string
  data: JsonObject
  locale: string
}

/** Sends the template with this data to somebody, as any mail is sent. */
export function TestSend({ place, data, locale }: TestSendProps) {
  const [to, setTo] = useState('')
  const [sent, setSent] = useState<Receipt>()
  const [problem, setProblem] = useState('')
  const send = (event: Event) => {
    event.preventDefault()
    setSent(undefined)
    setProblem('')
    post<Receipt>(`${place}/test`, { to, data, locale }).then(setSent, (error: unknown) =>
      setProblem(messageOf(error)),
    )
  }
  return (
    <section class="card">
      <h3>Send a test</h3>
      <form class="test-send" onSubmit={send}>
        <label class="field">
          <span>To</span>
          <input
            type="email"
            required
            autocomplete="email"
            value={to}
            onInput={({ currentTarget }) => setTo(currentTarget.value)}
          />
        </label>
        <button class="button primary" type="submit">
          Send
        </button>
      </form>
      <p role="status">
        {sent !== undefined && (
          <>
            Queued: <a href={new URL(`#/messages/${sent.id}`, root).href}>see what becomes of it</a>
          </>
        )}
      </p>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  )
}
