import { useEffect, useState } from 'preact/hooks'
import type { MessageContents } from '../viewModels.js'
import { bytes } from './format.js'
import { Frame, FrameOptions, TruncationNotes, ClippingWarning, Tabs, useFrameSettings } from './mailViewer.js'
import { addressOf, get, messageOf } from './request.js'

/**
 * What a message says, as far as that is still kept.
 * @param discreet whether it is shown only to who opens it
 */
export function MessageContent({ id, status, discreet }: { id: string; status: string; discreet: boolean }) {
  const [open, setOpen] = useState(!discreet)
  return (
    <section class="card">
      <h2>What it says</h2>
      {open ? (
        <Opened id={id} status={status} />
      ) : (
        <p>
          Recipients are shortened here; the mail itself names them, to those who may manage.{' '}
          <button class="button" type="button" onClick={() => setOpen(true)}>
            Open the mail
          </button>
        </p>
      )}
    </section>
  )
}

function Opened({ id, status }: { id: string; status: string }) {
  const [contents, setContents] = useState<MessageContents>()
  const [problem, setProblem] = useState('')
  const dropped = contents?.kept === false
  useEffect(() => {
    get<MessageContents>(`messages/${encodeURIComponent(id)}/contents`).then(
      (fresh) => {
        setContents(fresh)
        setProblem('')
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }, [id, status])
  return (
    <>
      {problem !== '' && <p class="problem">It can’t be shown: {problem}</p>}
      {dropped && (
        <p class="dim">
          Its data and bodies were dropped when it was settled, so there is nothing left to show. To keep
          them, set <code>retain: &#123; data: 'kept' &#125;</code>.
        </p>
      )}
      {contents?.kept === true && problem === '' && <Kept id={id} contents={contents} />}
    </>
  )
}

function Kept({ id, contents }: { id: string; contents: Extract<MessageContents, { kept: true }> }) {
  const { subject, preheader, text, hasHtml, headers, size, htmlSize, notes } = contents
  const look = useFrameSettings()
  const place = `messages/${encodeURIComponent(id)}`
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
            {bytes(size)}, of which HTML {bytes(htmlSize)}{' '}
            <a href={addressOf(`${place}/mail.eml`)} download>
              Download .eml
            </a>
          </dd>
        </div>
      </dl>
      <ClippingWarning htmlSize={htmlSize} />
      <TruncationNotes notes={notes} />
      <Tabs
        label="Parts of the message"
        tabs={[
          ...(hasHtml
            ? [
                {
                  name: 'HTML',
                  contents: (
                    <>
                      <FrameOptions look={look} />
                      <Frame src={addressOf(`${place}/html`)} title="The message" look={look} />
                    </>
                  ),
                },
              ]
            : []),
          {
            name: 'Text',
            contents: (
              <pre class="plain" tabIndex={0}>
                {text}
              </pre>
            ),
          },
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
