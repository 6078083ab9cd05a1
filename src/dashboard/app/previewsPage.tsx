import { useEffect, useState } from 'preact/hooks'
import { onTemplates } from './liveState.js'
import { hrefOf } from './navigation.js'
import { get, messageOf } from './request.js'
import { TemplatePreview } from './templatePreview.js'

interface PreviewsProps {
  chosen: string | undefined
  locale: string
}

/** Every template, as it would arrive. */
export function Previews({ chosen, locale }: PreviewsProps) {
  const [templates, setTemplates] = useState<string[]>()
  const [problem, setProblem] = useState('')
  useEffect(() => {
    const look = () =>
      get<{ templates: string[] }>('templates').then(
        (answer) => setTemplates(answer.templates),
        (error: unknown) => setProblem(messageOf(error)),
      )
    void look()
    return onTemplates(() => void look())
  }, [])
  const name = chosen ?? templates?.[0]
  return (
    <div class="previews">
      <nav class="templates" aria-label="Templates">
        <h1>Previews</h1>
        {problem !== '' && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        {templates?.length === 0 && (
          <p class="dim">There are no templates. Give the mailer a folder of them.</p>
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
