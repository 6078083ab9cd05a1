import { useEffect, useState } from 'preact/hooks'
import type { MessageContents } from '../viewModels.js'
import { bytes } from './format.js'
import { Frame, FrameOptions, MailParts, useFrameSettings } from './mailViewer.js'
import { urlOf, get, messageOf } from './request.js'

/**
 * The content of a message, as long as the queue keeps it.
 * @param redacted whether the content is loaded only on request, because it shows addresses that the page redacts
 */
export function MessageContent({ id, status, redacted }: { id: string; status: string; redacted: boolean }) {
  const [open, setOpen] = useState(!redacted)
  return (
    <section class="card">
      <h2>Content</h2>
      {open ? (
        <LoadedContent id={id} status={status} />
      ) : (
        <p>
          Recipients are redacted on this page. The content shows their full addresses and requires the manage
          scope.{' '}
          <button class="button" type="button" onClick={() => setOpen(true)}>
            Show content
          </button>
        </p>
      )}
    </section>
  )
}

function LoadedContent({ id, status }: { id: string; status: string }) {
  const [content, setContent] = useState<MessageContents>()
  const [problem, setProblem] = useState('')
  const deleted = content?.kept === false
  useEffect(() => {
    get<MessageContents>(`messages/${encodeURIComponent(id)}/contents`).then(
      (fresh) => {
        setContent(fresh)
        setProblem('')
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }, [id, status])
  return (
    <>
      {problem !== '' && <p class="problem">The content can’t be shown: {problem}</p>}
      {deleted && (
        <p class="dim">
          The data and bodies of this message were deleted when it was settled, or when an address was erased.
          With <code>retain: &#123; data: 'kept' &#125;</code>, the mailer keeps those of settled messages.
        </p>
      )}
      {content?.kept === true && problem === '' && <KeptContent id={id} content={content} />}
    </>
  )
}

function KeptContent({ id, content }: { id: string; content: Extract<MessageContents, { kept: true }> }) {
  const { subject, preheader, text, hasHtml, headers, size, htmlSize, notes } = content
  const settings = useFrameSettings()
  const path = `messages/${encodeURIComponent(id)}`
  return (
    <>
      <dl class="facts wide">
        <div>
          <dt>Subject</dt>
          <dd>{subject}</dd>
        </div>
        {preheader !== '' && (
          <div>
            <dt>Preheader</dt>
            <dd>{preheader}</dd>
          </div>
        )}
        <div>
          <dt>Size</dt>
          <dd>
            {bytes(size)} (HTML: {bytes(htmlSize)}){' '}
            <a href={urlOf(`${path}/mail.eml`)} download>
              Download .eml
            </a>
          </dd>
        </div>
      </dl>
      <MailParts
        htmlSize={htmlSize}
        notes={notes}
        text={text}
        html={
          hasHtml ? (
            <>
              <FrameOptions settings={settings} />
              <Frame src={urlOf(`${path}/html`)} title="Message" settings={settings} />
            </>
          ) : undefined
        }
        more={[
          {
            name: 'Headers',
            contents: (
              <dl class="facts wide mono">
                {headers.map(([name, value], index) => (
                  <div key={index}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            ),
          },
        ]}
      />
    </>
  )
}
