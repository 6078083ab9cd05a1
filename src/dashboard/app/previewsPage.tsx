import { useEffect, useRef, useState } from 'preact/hooks'
import type { TemplateInspection } from '../../index.js'
import type { RenderedPreview } from '../viewModels.js'
import { bytes } from './format.js'
import { onTemplates } from './liveState.js'
import { Frame, FrameOptions, MailParts, useFrameSettings } from './mailViewer.js'
import { go, hrefOf } from './navigation.js'
import { Problem } from './notices.js'
import { urlOf, get, messageOf, post, RequestError } from './request.js'
import { DataEditor, Notes, parseData, TestSend } from './templatePanels.js'

/** Milliseconds between the last keystroke and rendering. */
const DEBOUNCE = 300

/** One template with its data: the rendered message, an editor for the data, and the notes of `threadpost check`. */
function TemplatePreview({ name, locale }: { name: string; locale: string }) {
  const place = `templates/${encodeURIComponent(name)}`
  const [inspection, setInspection] = useState<TemplateInspection>()
  const [text, setText] = useState<string>()
  const [rendered, setRendered] = useState<RenderedPreview>()
  const [problem, setProblem] = useState<Error>()
  const [saves, setSaves] = useState(0)
  const settings = useFrameSettings()
  const edited = useRef(false)
  const lastRequest = useRef(0)

  useEffect(() => onTemplates(() => setSaves((before) => before + 1)), [])
  useEffect(() => {
    const controller = new AbortController()
    const query = locale === '' ? '' : `?locale=${encodeURIComponent(locale)}`
    get<TemplateInspection>(`${place}${query}`, controller.signal).then(
      (fresh) => {
        setInspection(fresh)
        // Edited data stays. Unedited data follows the sample file.
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
    const request = ++lastRequest.current
    const timer = setTimeout(
      () => {
        post<RenderedPreview>(`${place}/render`, { data: data.value, locale }).then(
          (fresh) => {
            if (request !== lastRequest.current) return
            setRendered(fresh)
            setProblem(undefined)
          },
          (error: unknown) => {
            if (request === lastRequest.current) setProblem(error as Error)
          },
        )
      },
      edited.current ? DEBOUNCE : 0,
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
              <option value="">Default</option>
              {inspection.locales.map((tag) => (
                <option value={tag} key={tag}>
                  {tag}
                </option>
              ))}
            </select>
          </label>
        )}
        <FrameOptions settings={settings} />
      </header>
      <div class="template-body">
        <section class="card template-result" aria-label="Preview">
          {problem !== undefined && <RenderProblem problem={problem} />}
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
              <MailParts
                htmlSize={rendered.htmlSize}
                notes={rendered.notes}
                text={rendered.text}
                html={
                  <Frame
                    src={urlOf(`renders/${rendered.key}`)}
                    title={`Preview of ${name}`}
                    settings={settings}
                  />
                }
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

function RenderProblem({ problem }: { problem: Error }) {
  const paths = problem instanceof RequestError ? problem.paths : []
  return (
    <div class="problem" role="alert">
      {paths.length === 0 ? (
        <p>{messageOf(problem)}</p>
      ) : (
        <>
          <p>The template needs data that is missing:</p>
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

interface PreviewsProps {
  chosen: string | undefined
  locale: string
}

/** A list of all templates, and a preview of the chosen one. */
export function Previews({ chosen, locale }: PreviewsProps) {
  const [templates, setTemplates] = useState<string[]>()
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const load = () =>
      get<{ templates: string[] }>('templates').then(
        (answer) => setTemplates(answer.templates),
        (error: unknown) => setProblem(messageOf(error)),
      )
    void load()
    return onTemplates(() => void load())
  }, [])
  const name = chosen ?? templates?.[0]
  return (
    <div class="previews">
      <nav class="templates" aria-label="Templates">
        <h1>Previews</h1>
        <Problem text={problem} />
        {templates?.length === 0 && (
          <p class="dim">
            No templates found. Set the mailer’s <code>templates</code> option to a folder of templates.
          </p>
        )}
        <ul>
          {templates?.map((template) => (
            <li key={template}>
              <a
                href={hrefOf(encodeURIComponent(template))}
                aria-current={template === name ? 'page' : undefined}
              >
                {template}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {name !== undefined && <TemplatePreview name={name} locale={locale} key={name} />}
    </div>
  )
}
