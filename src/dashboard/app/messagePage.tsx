import { useEffect, useState } from 'preact/hooks'
import type { Mailbox, Message as MessageView } from '../../index.js'
import type { Action, BulkResult, MessageDetails } from '../viewModels.js'
import { EditAndSend } from './editAndSend.js'
import { bytes, moment, plural, withLocalTimes } from './format.js'
import { changeKeyOf, useLive } from './liveState.js'
import { Attempts } from './messageAttempts.js'
import { MessageContent } from './messageContents.js'
import { MessageNavigation } from './messageNavigation.js'
import { hrefOf } from './navigation.js'
import { News, Problem } from './notices.js'
import { get, messageOf, post, root, siteLink } from './request.js'
import { useMay } from './scopes.js'
import { ACTION_NAMES, ACTIONS, Badge } from './status.js'

/** The status of one message with its explanation, its history, and its content. */
export function Message({ id }: { id: string }) {
  const [details, setDetails] = useState<MessageDetails>()
  const [problem, setProblem] = useState('')
  const [news, setNews] = useState('')
  const [changes, setChanges] = useState(0)
  const settled = details?.message.settledAt !== undefined
  const live = changeKeyOf(useLive())

  useEffect(() => {
    const controller = new AbortController()
    get<MessageDetails>(`messages/${encodeURIComponent(id)}`, controller.signal).then(
      (fresh) => {
        setDetails(fresh)
        setProblem('')
      },
      (error: unknown) => {
        if (!controller.signal.aborted) setProblem(messageOf(error))
      },
    )
    return () => controller.abort()
  }, [id, changes, settled ? '' : live])

  const act = (action: Action) => {
    post<BulkResult>('bulk', { action, ids: [id] }).then(
      ({ passed }) => {
        setChanges((before) => before + 1)
        setProblem(
          passed === 0
            ? ''
            : action === 'send-again'
              ? "The message can’t be sent again: its content is no longer kept. To keep it, set retain: { data: 'kept' }."
              : 'The action was not applied: the message has changed in the meantime.',
        )
        setNews(passed === 0 ? ACTIONS[action].done('the message') : '')
      },
      (error: unknown) => setProblem(messageOf(error)),
    )
  }

  return (
    <article class="message">
      <MessageNavigation id={id} />
      <Problem text={problem} />
      <News text={news} />
      {details !== undefined && <Details details={details} act={act} />}
    </article>
  )
}

function Details({
  details: { message, why, log, shortened, inInbox },
  act,
}: {
  details: MessageDetails
  act: (action: Action) => void
}) {
  const { status, uncertain, subject, template, recipients, attempts } = message
  const mayManage = useMay('manage')
  const possible = ACTION_NAMES.filter((action) => ACTIONS[action].for.has(status))
  return (
    <>
      <header class="message-head">
        <div>
          <h1>{subject ?? template ?? 'Message'}</h1>
          <p class="explained" role="status">
            <Badge status={status} uncertain={uncertain} /> {withLocalTimes(why)}
          </p>
        </div>
        {mayManage && (
          <div class="actions">
            {possible.map((action) => (
              <button class="button" type="button" key={action} onClick={() => act(action)}>
                {ACTIONS[action].name}
              </button>
            ))}
            {message.settledAt !== undefined && <EditAndSend id={message.id} />}
          </div>
        )}
      </header>
      <div class="columns uneven">
        <div class="stack">
          <Attempts
            attempts={attempts}
            log={log}
            acceptedAt={message.acceptedAt}
            next={message.nextAttemptAt}
          />
          <Recipients recipients={recipients} />
        </div>
        <Facts message={message} inInbox={inInbox} />
      </div>
      <MessageContent id={message.id} status={status} redacted={shortened} />
    </>
  )
}

function Recipients({ recipients }: Pick<MessageView, 'recipients'>) {
  return (
    <section class="card">
      <h2>{plural(recipients.length, 'recipient')}</h2>
      <ul class="recipients" tabIndex={0} aria-label="Recipients">
        {recipients.map(({ address, status, reply, delivery, suppressed }) => (
          <li key={address}>
            <span class="address">{address}</span> <Badge status={status} />
            {reply !== undefined && (
              <code class="reply">
                {reply.code} {reply.text}
              </code>
            )}
            {suppressed !== undefined && ` suppressed since ${time(suppressed.since)} (${suppressed.reason})`}
            {delivery !== undefined && <Reported delivery={delivery} />}
          </li>
        ))}
      </ul>
    </section>
  )
}

/** The delivery report about a recipient, after the next server accepted the message. */
function Reported({ delivery }: { delivery: NonNullable<MessageView['recipients'][number]['delivery']> }) {
  const { state, at, category, permanent, detail, source, unverified } = delivery
  const kind = category === undefined ? '' : ` (${permanent === true ? 'permanent, ' : ''}${category})`
  return (
    <p>
      <strong>{state}</strong> {time(at)}
      {kind} · source: {source}
      {unverified === true && ' · the report is not verified'}
      {detail !== undefined && <code class="reply">{detail}</code>}
    </p>
  )
}

function Facts({ message, inInbox }: { message: MessageView; inInbox: string | undefined }) {
  const { from, to, cc, bcc, group, tags, metadata, attachments } = message
  const inbox = siteLink('inbox')
  const facts: [name: string, value: string][] = [
    ['From', people([from])],
    ['To', people(to)],
    ['Cc', people(cc)],
    ['Bcc', people(bcc)],
    ['Template', [message.template ?? '', message.locale ?? ''].filter((part) => part !== '').join(' · ')],
    ['Group', group ?? ''],
    ['Tags', tags.join(', ')],
    ['Accepted', time(message.acceptedAt)],
    ['Scheduled for', time(message.sendAt)],
    ['Settled', time(message.settledAt)],
    ['Expires', message.settledAt === undefined ? time(message.expiresAt) : ''],
    ['Transport', message.transport],
    ['Priority', message.priority === 5 ? '' : String(message.priority)],
    [
      'Attachments',
      attachments
        .map(({ filename, contentType, size }) => `${filename ?? contentType ?? 'file'} (${bytes(size)})`)
        .join(', '),
    ],
    ['Metadata', metadata === undefined ? '' : JSON.stringify(metadata)],
    ['Message-ID', message.messageId],
    ['ID', message.id],
  ]
  return (
    <section class="card">
      <h2>Details</h2>
      <dl class="facts">
        {facts
          .filter(([, value]) => value !== '')
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        {message.resendOf !== undefined && (
          <div>
            <dt>Sent again</dt>
            <dd>
              from <a href={hrefOf(`messages/${message.resendOf}`)}>{message.resendOf}</a>
            </dd>
          </div>
        )}
      </dl>
      {inInbox !== undefined && inbox !== '' && (
        <p>
          <a href={new URL(`${inbox}messages/${inInbox}`, root).href}>Open the mail in the inbox</a>
        </p>
      )}
    </section>
  )
}

function people(mailboxes: readonly Mailbox[]): string {
  return mailboxes
    .map(({ name, address }) => (name === undefined ? address : `${name} <${address}>`))
    .join(', ')
}

function time(iso: string | undefined): string {
  return iso === undefined ? '' : moment(iso)
}
