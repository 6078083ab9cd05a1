import { useEffect, useRef, useState } from 'preact/hooks'
import type { JsonObject, Receipt, TemplateInspection } from '../../index.js'
import type { RenderedPreview } from '../viewModels.js'
import { DataEditor, parseData } from './dataEditor.js'
import { bytes } from './format.js'
import { Frame, FrameOptions, LeftOut, SizeNote, useFrameLook } from './htmlFrame.js'
import { onTemplates } from './liveState.js'
import { go, hrefOf } from './navigation.js'
import { addressOf, get, messageOf, post, Refusal, root } from './request.js'
import { Tabs } from './tabs.js'

interface TestSendProps {
  place: string
  data: JsonObject
  locale: string
}

/** Sends the template with this data to somebody, as any mail is sent. */
function TestSend({ place, data, locale }: TestSendProps) {
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

/** What `threadpost check` says of the template. */
function Notes({ inspection: { error, findings, warnings } }: { inspection: TemplateInspection }) {
  const first = error === undefined && findings.length > 0
  return (
    <section class="card notes">
      <h3>Notes</h3>
      {error !== undefined && <p class="problem">{error}</p>}
      {error === undefined && !first && <p>Compiles once: a message only binds its data.</p>}
      {first && (
        <>
          <p>Binds first: MJML runs for each message, which costs a hundred times as much.</p>
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

/** Milliseconds after the last key press before the data is rendered. */
const PAUSE = 300

/** One template with its data: what it gives, and what is to be said of it. */
export function TemplatePreview({ name, locale }: { name: string; locale: string }) {
  const place = `templates/${encodeURIComponent(name)}`
  const [inspection, setInspection] = useState<TemplateInspection>()
  const [text, setText] = useState<string>()
  const [rendered, setRendered] = useState<RenderedPreview>()
  const [problem, setProblem] = useState<Error>()
  const [saves, setSaves] = useState(0)
  const look = useFrameLook()
  const edited = useRef(false)
  const turn = useRef(0)

  useEffect(() => onTemplates(() => setSaves((before) => before + 1)), [])
  useEffect(() => {
    const controller = new AbortController()
    const query = locale === '' ? '' : `?locale=${encodeURIComponent(locale)}`
    get<TemplateInspection>(`${place}${query}`, controller.signal).then(
      (fresh) => {
        setInspection(fresh)
        // What somebody wrote stays; else the sample file is followed.
        if (!edited.current) setText(JSON.stringify(fresh.sample ?? {}, null, 2))
      },
      (error: unknown) => {
        if (!controller.signal.aborted) setProblem(error as Error)
      },
    )
    return () => controller.abort()
  }, [place, locale, saves])

  const data = text === undefined ? undefined : parseData(text)
  useEffect(() => {
    if (data === undefined || !data.ok) return
    const mine = ++turn.current
    const timer = setTimeout(
      () => {
        post<RenderedPreview>(`${place}/render`, { data: data.value, locale }).then(
          (fresh) => {
            if (mine !== turn.current) return
            setRendered(fresh)
            setProblem(undefined)
          },
          (error: unknown) => {
            if (mine === turn.current) setProblem(error as Error)
          },
        )
      },
      edited.current ? PAUSE : 0,
    )
    return () => clearTimeout(timer)
  }, [place, locale, saves, text])

  const edit = (value: string) => {
    edited.current = true
    setText(value)
  }
  const reset = () => {
    edited.current = false
    setText(JSON.stringify(inspection?.sample ?? {}, null, 2))
  }
  return (
    <article class="template">
      <header class="template-head">
        <h2>{name}</h2>
        {inspection !== undefined && inspection.locales.length > 0 && (
          <label class="field inline">
            <span>Locale</span>
            <select
              value={locale}
              onChange={({ currentTarget: { value } }) =>
                go(hrefOf(encodeURIComponent(name), { locale: value }))
              }
            >
              <option value="">default</option>
              {inspection.locales.map((tag) => (
                <option value={tag} key={tag}>
                  {tag}
                </option>
              ))}
            </select>
          </label>
        )}
        <FrameOptions look={look} />
      </header>
      <div class="template-body">
        <section class="card template-result" aria-label="Rendered">
          {problem !== undefined && <Problem problem={problem} />}
          {rendered !== undefined && (
            <div class={problem === undefined ? '' : 'faded'}>
              <dl class="facts wide">
                <div>
                  <dt>Subject</dt>
                  <dd class="subject">{rendered.subject}</dd>
                </div>
                <div>
                  <dt>Preheader</dt>
                  <dd>{rendered.preheader === '' ? '–' : rendered.preheader}</dd>
                </div>
                <div>
                  <dt>HTML</dt>
                  <dd>{bytes(rendered.htmlSize)}</dd>
                </div>
              </dl>
              <SizeNote htmlSize={rendered.htmlSize} />
              <LeftOut notes={rendered.notes} />
              <Tabs
                label="Parts"
                tabs={[
                  {
                    name: 'HTML',
                    contents: (
                      <Frame
                        src={addressOf(`renders/${rendered.key}`)}
                        title={`The template ${name}`}
                        look={look}
                      />
                    ),
                  },
                  {
                    name: 'Text',
                    contents: (
                      <pre class="plain" tabIndex={0}>
                        {rendered.text}
                      </pre>
                    ),
                  },
                ]}
              />
            </div>
          )}
        </section>
        <div class="template-side">
          {text !== undefined && <DataEditor text={text} edit={edit} reset={reset} edited={edited.current} />}
          {data?.ok === true && <TestSend place={place} data={data.value} locale={locale} />}
          {inspection !== undefined && <Notes inspection={inspection} />}
        </div>
      </div>
    </article>
  )
}

function Problem({ problem }: { problem: Error }) {
  const paths = problem instanceof Refusal ? problem.paths : []
  return (
    <div class="problem" role="alert">
      {paths.length === 0 ? (
        <p>{messageOf(problem)}</p>
      ) : (
        <>
          <p>The data lacks what the template needs:</p>
          <ul>
            {paths.map((path) => (
              <li key={path}>
                <code>{path}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  )
}
