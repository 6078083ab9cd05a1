import { useId } from 'preact/hooks'
import type { JsonObject } from '../../index.js'

export type ParsedData = { ok: true; value: JsonObject } | { ok: false; problem: string }

/** JSON from a person, or what is wrong with it and in which line. */
export function parseData(text: string): ParsedData {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { ok: true, value: value as JsonObject }
    return { ok: false, problem: 'Line 1: the data must be an object: { … }' }
  } catch (error) {
    return { ok: false, problem: problemOf((error as Error).message, text) }
  }
}

/** Browsers tell the place as a line, as a position, or not at all where the text ends too early. */
function problemOf(message: string, text: string): string {
  const told = /line (\d+)/.exec(message)?.[1]
  const position = /position (\d+)/.exec(message)?.[1]
  const upTo = position === undefined ? text : text.slice(0, Number(position))
  const line = told ?? String(upTo.split('\n').length)
  const why = message
    .replace(/^JSON\.parse: |^JSON Parse error: /, '')
    .replace(/,? (in JSON )?at (position|line) .*$/, '')
  return `Line ${line}: ${why}`
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
            Back to the sample
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
