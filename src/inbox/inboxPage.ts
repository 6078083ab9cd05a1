import { html, type Html, type HtmlValue, logo, page, textField } from '../web/page.js'
import { type Fault, type FaultAction, type FaultStep, replyOf } from './faults.js'
import { mailPane, subjectOf, time, type View } from './mailView.js'
import type { MailSummary, ReceivedMail } from './receivedMail.js'

/** The faults that the dialog offers: those that a sender must handle. */
const PRESETS: readonly { name: string; fault: Fault }[] = [
  { name: 'Defer the recipient (450)', fault: { at: 'rcpt', do: 'defer' } },
  { name: 'Refuse the recipient (550)', fault: { at: 'rcpt', do: 'refuse' } },
  { name: 'Close the connection before the end of the message', fault: { at: 'dot', do: 'close-before' } },
  { name: 'Lose the server’s reply', fault: { at: 'dot', do: 'close-after' } },
  { name: 'Defer the message (451)', fault: { at: 'dot', do: 'defer' } },
  { name: 'Refuse the message (554)', fault: { at: 'dot', do: 'refuse' } },
  { name: 'Reply slowly', fault: { at: 'dot', do: 'delay', ms: 2000 } },
  { name: 'Send an invalid reply', fault: { at: 'dot', do: 'garbage' } },
  { name: 'Never reply', fault: { at: 'dot', do: 'silence' } },
  { name: 'Refuse connections', fault: { at: 'connect', do: 'refuse' } },
  { name: 'Refuse service in the greeting (421)', fault: { at: 'greeting', do: 'defer' } },
]

const STEP_LABELS: Record<FaultStep, string> = {
  connect: 'On connect',
  greeting: 'On greeting',
  helo: 'On EHLO',
  auth: 'On AUTH',
  mail: 'On MAIL FROM',
  rcpt: 'On RCPT TO',
  data: 'On DATA',
  dot: 'On end of data',
}

/** Lists the active faults. Hidden if there are none. */
function faultBanner(faults: readonly Fault[]): Html {
  if (faults.length === 0) return html`<section id="faults" hidden></section>`
  return html`<section id="faults" class="faults" aria-label="Active faults">
    <strong>${faults.length === 1 ? '1 fault is active.' : `${faults.length} faults are active.`}</strong>
    <ul>
      ${faults.map(
        (fault) =>
          html`<li>
            <span>${describeFault(fault)}</span>
            <button
              class="remove"
              type="button"
              data-remove="${JSON.stringify({ ...fault, times: undefined })}"
              aria-label="Stop this fault"
              hidden
            >
              Stop
            </button>
          </li>`,
      )}
    </ul>
  </section>`
}

const FAULT_FIELDS = [
  textField('fault-to', 'Recipients', {
    placeholder: 'All',
    autocomplete: 'off',
    spellcheck: 'false',
    maxlength: 320,
  }),
  textField('fault-chance', 'Probability (%)', {
    type: 'number',
    min: 1,
    max: 100,
    value: 100,
    required: true,
  }),
  textField('fault-times', 'Times', { type: 'number', min: 1, max: 1_000_000, placeholder: 'Unlimited' }),
  textField('fault-ms', 'Delay (ms)', { type: 'number', min: 0, max: 600_000, value: 2_000 }),
]

/** The dialog that adds a fault. Closed until the script opens it. */
function faultDialog(): Html {
  return html`<dialog id="fault-dialog" aria-labelledby="fault-title">
    <form id="fault-form" method="dialog">
      <h2 id="fault-title">Simulate faults</h2>
      <p class="dim">The inbox fails this way for every client until you stop the fault.</p>
      <label for="fault-what">What to simulate</label>
      <select class="text-field" id="fault-what">
        ${PRESETS.map(({ name, fault }) => html`<option value="${JSON.stringify(fault)}">${name}</option>`)}
      </select>
      <div class="fields">${FAULT_FIELDS.map((field) => html`<p>${field}</p>`)}</div>
      <p class="dim small">Use * as a wildcard: <code>*@example.com</code></p>
      <p class="error" id="fault-error" role="alert" hidden></p>
      <div class="actions">
        <button class="button" type="button" id="fault-cancel">Cancel</button>
        <button class="button primary" type="submit">Add fault</button>
      </div>
    </form>
  </dialog>`
}

function describeFault(fault: Fault): HtmlValue {
  const details = [
    fault.to === undefined ? '' : `for ${fault.to}`,
    fault.probability === undefined ? '' : `${Math.round(fault.probability * 100)}% of the time`,
    fault.times === undefined ? '' : fault.times === 1 ? 'once more' : `${fault.times} more times`,
  ].filter((detail) => detail !== '')
  return [`${STEP_LABELS[fault.at]}: ${ACTION_LABELS[fault.do](fault)}`, ...details].join(', ')
}

const ACTION_LABELS: Record<FaultAction, (fault: Fault) => string> = {
  refuse: (fault) =>
    fault.at === 'connect' && fault.reply === undefined ? 'connection refused' : replyText(fault),
  defer: (fault) => replyText(fault),
  silence: () => 'no reply',
  close: () => 'connection closed',
  delay: ({ ms = 1000 }) => `reply delayed by ${ms} ms`,
  drip: ({ ms = 200 }) => `endless reply, one byte every ${ms} ms`,
  garbage: () => 'invalid reply',
  'close-before': () => 'connection closed before the final dot',
  'close-after': () => 'message kept, connection closed without a reply',
  'silence-after': () => 'message kept, no reply',
}

function replyText(fault: Fault): string {
  const { code, text } = replyOf(fault)
  return `${code} ${text}`
}

/** The list of messages and the open message. */
export interface InboxPage {
  /** Newest first. */
  mails: readonly MailSummary[]
  /** The number of messages that the inbox keeps. */
  kept: number
  /** The search, or ''. */
  q: string
  opened?: { mail: ReceivedMail; view: View }
  faults: readonly Fault[]
  /** The relative path to the router's root. */
  root: string
  smtpUrl: string
  /** The link of the brand, relative to the router's root. */
  home?: string
  /** URL of the dashboard, relative to the root. */
  dashboard?: string
}

export function inboxPage(contents: InboxPage): string {
  const { mails, kept, q, opened, faults, root, smtpUrl, home, dashboard } = contents
  const query = q === '' ? '' : `?q=${encodeURIComponent(q)}`
  const title = opened === undefined ? 'Inbox' : `${subjectOf(opened.mail)} · Inbox`
  return page({
    title: kept === 0 ? 'Inbox' : `${title} (${kept})`,
    root,
    styles: ['inbox.css'],
    scripts: ['inbox.js'],
    kind: opened === undefined ? 'inbox' : 'inbox opened',
    body: html`
      <header class="bar">
        <a
          class="brand"
          href="${home === undefined ? root || './' : `${root}${home}`}"
          aria-label="threadpost"
          >${logo}<span>threadpost</span></a
        >
        <h1 class="place"><a href="${root || './'}">Inbox</a></h1>
        <form class="search" role="search" action="${root || './'}">
          <input
            class="text-field"
            type="search"
            id="q"
            name="q"
            value="${q}"
            placeholder="Search: words, from: to: subject: has:attachment"
            aria-label="Search"
            autocomplete="off"
            spellcheck="false"
          />
        </form>
        ${dashboard !== undefined && html`<a class="button quiet" href="${root}${dashboard}">Dashboard</a>`}
        <p class="address"><span class="dim">Listening on</span> <code>${smtpUrl}</code></p>
        <button class="button quiet" id="make-fault" type="button" hidden>Simulate faults</button>
        <button class="button quiet" id="clear" type="button" ${kept === 0 ? html`disabled` : ''}>
          Clear
        </button>
      </header>
      ${faultBanner(faults)}
      <main class="panes" data-root="${root}" data-query="${query}">
        <nav class="list" id="list" aria-label="Messages">
          ${kept === 0 ? emptyList(smtpUrl) : list(contents, query)}
        </nav>
        ${opened === undefined ? placeholder(mails.length) : mailPane({ ...opened, root, query })}
      </main>
      <p class="hidden-label" id="news" role="status"></p>
      ${faultDialog()}
    `,
  })
}

function list({ mails, kept, q, root, opened }: InboxPage, query: string): Html {
  const rest = kept - mails.length
  return html`${
      q !== '' &&
      html`<p class="found">
        ${count(mails.length)} of ${count(kept)} ${mails.length === 1 ? 'matches' : 'match'}
        <a href="${root || './'}">Show all</a>
      </p>`
    }
    <ol>
      ${mails.map((mail) => row(mail, root, query, opened?.mail.id))}
    </ol>
    ${q === '' && rest > 0 && html`<p class="found">${count(rest)} older messages are not listed. Use search to find them.</p>`}`
}

function row(mail: MailSummary, root: string, query: string, opened: string | undefined): Html {
  return html`<li>
    <a
      class="row"
      href="${root}messages/${mail.id}${query}"
      ${mail.id === opened ? html`aria-current="page"` : ''}
    >
      <span class="row-to"
        >${mail.envelope.to.slice(0, 10).join(', ')}${mail.envelope.to.length > 10 && ' …'}</span
      >
      ${time(mail.receivedAt)}
      <span class="row-subject">${subjectOf(mail)}</span>
      ${mail.files > 0 && html`<span class="row-files">${mail.files} ${mail.files === 1 ? 'file' : 'files'}</span>`}
      <span class="row-text">${mail.snippet}</span>
    </a>
  </li>`
}

function emptyList(smtpUrl: string): Html {
  return html`<div class="empty">
    <svg viewBox="0 0 64 48" width="72" height="54" aria-hidden="true">
      <rect x="2" y="2" width="60" height="44" rx="8" />
      <path d="M3 8l25 19a7 7 0 0 0 8 0L61 8" />
    </svg>
    <h2>No mail yet</h2>
    <p>Mail sent to <code>${smtpUrl}</code> appears here. Nothing leaves this machine.</p>
  </div>`
}

function placeholder(mails: number): Html {
  return html`<section class="mail none" aria-label="No message selected">
    ${mails > 0 ? html`<p>Select a message to read it.</p>` : ''}
  </section>`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
