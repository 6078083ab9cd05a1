import { useEffect, useRef, useState } from 'preact/hooks'
import type { Message, Receipt } from '../../index.js'
import type { MessageContents, MessageDetails } from '../viewModels.js'
import { go, hrefOf } from './navigation.js'
import { Problem } from './notices.js'
import { get, messageOf, post } from './request.js'
import { parseData } from './templatePanels.js'

interface Draft {
  to: string
  subject: string
  /** The subject before any edit. */
  original: string
  /** JSON; undefined if the mail takes no data. */
  data: string | undefined
}

/** A form to send the mail of a settled message again with changes, as a new message. */
export function EditAndSend({ id }: { id: string }) {
  const [draft, setDraft] = useState<Draft>()
  const [problem, setProblem] = useState('')
  const dialog = useRef<HTMLDialogElement>(null)
  const open = draft !== undefined || problem !== ''
  useEffect(() => {
    if (open && dialog.current?.open !== true) dialog.current?.showModal()
  }, [open])
  const path = `messages/${encodeURIComponent(id)}`
  const start = () => {
    Promise.all([get<MessageDetails>(path), get<MessageContents>(`${path}/contents`)]).then(
      ([{ message }, contents]) => {
        if (contents.kept) setDraft(draftOf(message, contents))
        else
          setProblem(
            "The content of this message is no longer kept. To keep it, set retain: { data: 'kept' }.",
          )
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }
  const close = () => {
    setDraft(undefined)
    setProblem('')
  }
  const send = (event: Event) => {
    event.preventDefault()
    if (draft === undefined) return
    const data = draft.data === undefined ? undefined : parseData(draft.data)
    if (data?.ok === false) {
      setProblem(data.problem)
      return
    }
    const to = draft.to
      .split(',')
      .map((address) => address.trim())
      .filter((address) => address !== '')
    const changes = {
      to,
      ...(draft.subject === draft.original ? {} : { subject: draft.subject }),
      ...(data === undefined ? {} : { data: data.value }),
    }
    post<Receipt>(`${path}/send-again`, changes).then(
      (receipt) => {
        close()
        go(hrefOf(`messages/${receipt.id}`))
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }
  return (
    <>
      <button class="button" type="button" onClick={start}>
        Edit and send again
      </button>
      {open && (
        <dialog ref={dialog} class="confirm" aria-labelledby="edit-title" onClose={close}>
          <form onSubmit={send} class="edit-form">
            <h2 id="edit-title">Edit and send again</h2>
            <p class="dim">This sends a new message. The original stays as it is.</p>
            {draft !== undefined && <Fields draft={draft} edit={setDraft} />}
            <Problem text={problem} />
            <div class="confirm-buttons">
              <button class="button" type="button" onClick={close}>
                Go back
              </button>
              {draft !== undefined && (
                <button class="button primary" type="submit">
                  Send
                </button>
              )}
            </div>
          </form>
        </dialog>
      )}
    </>
  )
}

function Fields({ draft, edit }: { draft: Draft; edit: (draft: Draft) => void }) {
  return (
    <>
      <label class="field">
        <span>To</span>
        <input
          required
          value={draft.to}
          onInput={({ currentTarget: { value } }) => edit({ ...draft, to: value })}
        />
      </label>
      <label class="field">
        <span>Subject</span>
        <input
          required
          value={draft.subject}
          onInput={({ currentTarget: { value } }) => edit({ ...draft, subject: value })}
        />
      </label>
      {draft.data !== undefined && (
        <label class="field">
          <span>Data</span>
          <textarea
            class="data"
            rows={10}
            spellcheck={false}
            value={draft.data}
            onInput={({ currentTarget: { value } }) => edit({ ...draft, data: value })}
          />
        </label>
      )}
    </>
  )
}

function draftOf(
  { recipients }: Message,
  { subject, data }: Extract<MessageContents, { kept: true }>,
): Draft {
  return {
    to: recipients.map(({ address }) => address).join(', '),
    subject,
    original: subject,
    data: data === undefined ? undefined : JSON.stringify(data, null, 2),
  }
}
