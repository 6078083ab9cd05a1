import { useId, useState } from 'preact/hooks'
import type { JsonObject, Receipt, TemplateInspection } from '../../index.js'
import { Problem } from './notices.js'
import { messageOf, post, root } from './request.js'

export type ParsedData = { ok: true; value: JsonObject } | { ok: false; problem: string }

/** Parses JSON that a person typed. A problem names the line. */
export function parseData(text: string): ParsedData {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { ok: true, value: value as JsonObject }
    return { ok: false, problem: 'Line 1: the data must be a JSON object: { … }' }
  } catch (error) {
    return { ok: false, problem: problemOf((error as Error).message, text) }
  }
}

/** Browsers report a line, a position, or neither if the text ends too early. */
function problemOf(message: string, text: string): string {
  const reported = /line (\d+)/.exec(message)?.[1]
  const position = /position (\d+)/.exec(message)?.[1]
  const upTo = position === undefined ? text : text.slice(0, Number(position))
  const line = reported ?? String(upTo.split('\n').length)
  const reason = message
    .replace(/^JSON\.parse: |^JSON Parse error: /, '')
    .replace(/,? (in JSON )?at (position|line) .*$/, '')
  return `Line ${line}: ${reason}`
}

interface DataEditorProps {
  text: string
  edit: (text: string) => void
  reset: () => void
  edited: boolean
}

export function DataEditor({ text, edit, reset, edited }: DataEditorProps) {
  const id = useId()
  const parsed = parseData(text)
  const problem = parsed.ok ? '' : parsed.problem
  return (
    <section class="card">
      <div class="card-head">
        <h3>
          <label for={id}>Data</label>
        </h3>
        {edited && (
          <button class="button small quiet" type="button" onClick={reset}>
            Reset to sample
          </button>
        )}
      </div>
      <textarea
        id={id}
        class="data"
        spellcheck={false}
        autocomplete="off"
        rows={Math.min(24, Math.max(8, text.split('\n').length + 1))}
        value={text}
        aria-invalid={problem !== ''}
        aria-describedby={`${id}-problem`}
        onInput={({ currentTarget }) => edit(currentTarget.value)}
      />
      <p id={`${id}-problem`} class={problem === '' ? '' : 'problem'} role="status">
        {problem}
      </p>
    </section>
  )
}

interface TestSendProps {
  place: string
  data: JsonObject
  locale: string
}

/** Sends the template with this data like any other message. */
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
            Queued: <a href={new URL(`#/messages/${sent.id}`, root).href}>view message</a>
          </>
        )}
      </p>
      <Problem text={problem} />
    </section>
  )
}

/** The findings of `threadpost check` for the template. */
export function Notes({ inspection }: { inspection: TemplateInspection }) {
  const { language, error, findings, warnings } = inspection
  const perMessage = error === undefined && findings.length > 0
  return (
    <section class="card notes">
      <h3>Notes</h3>
      {error !== undefined && <p class="problem">{error}</p>}
      {error === undefined && !perMessage && (
        <p>
          {language === 'react'
            ? 'Rendered for each message: a React component is a program.'
            : 'Compiled once: each message only fills in its data.'}
        </p>
      )}
      {perMessage && (
        <>
          <p>
            Compiled for each message: {language === 'html' ? 'CSS is inlined' : 'MJML runs'} every time,
            which costs about 100 times as much.
          </p>
          <ul>
            {findings.map(({ at, expression, reason, advice }, index) => (
              <li key={index}>
                <code>
                  {at.file}:{at.line}:{at.column} {expression}
                </code>
                <p>{reason}</p>
                <p class="dim">To compile it once: {advice}</p>
              </li>
            ))}
          </ul>
        </>
      )}
      {warnings.length > 0 && (
        <ul>
          {warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </section>
  )
}
