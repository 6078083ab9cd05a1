import { html, type Html, type HtmlValue } from '../web/html.js'
import { mark, page } from '../web/page.js'
import { type Fault, type FaultAction, type FaultStep, replyOf } from './faults.js'
import { hasAttachment } from './mailSearch.js'
import { mailPane, subjectOf, time, type View } from './mailView.js'
import type { ReceivedMail } from './receivedMail.js'

/** What the dialog offers: the mishaps a sender must cope with, in the order in which they can befall it. */
const PRESETS: readonly { name: string; fault: Fault }[] = [
  { name: 'Defer the recipient (450)', fault: { at: 'rcpt', do: 'defer' } },
  { name: 'Refuse the recipient (550)', fault: { at: 'rcpt', do: 'refuse' } },
  { name: 'Drop the connection before the dot', fault: { at: 'dot', do: 'close-before' } },
  { name: 'Drop the connection after the dot: the reply is lost', fault: { at: 'dot', do: 'close-after' } },
  { name: 'Defer the message (451)', fault: { at: 'dot', do: 'defer' } },
  { name: 'Refuse the message (554)', fault: { at: 'dot', do: 'refuse' } },
  { name: 'Answer slowly', fault: { at: 'dot', do: 'delay', ms: 2000 } },
  { name: 'Answer with garbage', fault: { at: 'dot', do: 'garbage' } },
  { name: 'Never answer', fault: { at: 'dot', do: 'silence' } },
  { name: 'Refuse connections', fault: { at: 'connect', do: 'refuse' } },
  { name: 'Turn away at the door (421)', fault: { at: 'greeting', do: 'defer' } },
]

const WHERE: Record<FaultStep, string> = {
  connect: 'connecting',
  greeting: 'the greeting',
  helo: 'EHLO',
  auth: 'AUTH',
  mail: 'the sender',
  rcpt: 'the recipient',
  data: 'DATA',
  dot: 'the message',
}

/** Says that faults are on, as long as they are. */
function faultBanner(faults: readonly Fault[]): Html {
  if (faults.length === 0) return html`<section id="faults" hidden></section>`
  return html`<section id="faults" class="faults" aria-label="Faults that are on">
    <strong>${faults.length === 1 ? 'A fault is on.' : `${faults.length} faults are on.`}</strong>
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

/** Where a fault is composed. Hidden until the script runs, for it sends JSON. */
function faultDialog(): Html {
  return html`<dialog id="fault-dialog" aria-labelledby="fault-title">
    <form id="fault-form" method="dialog">
      <h2 id="fault-title">Make it fail</h2>
      <p class="dim">The inbox does this to whoever sends to it, until you stop it.</p>
      <label for="fault-what">What goes wrong</label>
      <select id="fault-what">
        ${PRESETS.map(({ name, fault }) => html`<option value="${JSON.stringify(fault)}">${name}</option>`)}
      </select>
      <div class="fields">
        <p>
          <label for="fault-to">For recipients</label>
          <input id="fault-to" placeholder="all" autocomplete="off" spellcheck="false" maxlength="320" />
        </p>
        <p>
          <label for="fault-chance">Chance, in %</label>
          <input id="fault-chance" type="number" min="1" max="100" value="100" required />
        </p>
        <p>
          <label for="fault-times">Times</label>
          <input id="fault-times" type="number" min="1" max="1000000" placeholder="no end" />
        </p>
        <p>
          <label for="fault-ms">Delay, in ms</label>
          <input id="fault-ms" type="number" min="0" max="600000" value="2000" />
        </p>
      </div>
      <p class="dim small">A * stands for anything: <code>*@example.com</code></p>
      <p class="error" id="fault-error" role="alert" hidden></p>
      <div class="actions">
        <button class="button" type="button" id="fault-cancel">Cancel</button>
        <button class="button primary" type="submit">Make it fail</button>
      </div>
    </form>
  </dialog>`
}

function describeFault(fault: Fault): HtmlValue {
  const details = [
    fault.to === undefined ? '' : `for ${fault.to}`,
    fault.probability === undefined ? '' : `${Math.round(fault.probability * 100)} % of the time`,
    fault.times === undefined ? '' : fault.times === 1 ? 'once more' : `${fault.times} more times`,
  ].filter((detail) => detail !== '')
  return [`At ${WHERE[fault.at]}: ${DEEDS[fault.do](fault)}`, ...details].join(', ')
}

const DEEDS: Record<FaultAction, (fault: Fault) => string> = {
  refuse: (fault) =>
    fault.at === 'connect' && fault.reply === undefined ? 'the connection is refused' : answers(fault),
  defer: (fault) => answers(fault),
  silence: () => 'no answer',
  close: () => 'the connection is dropped',
  delay: ({ ms = 1000 }) => `the answer comes ${ms} ms late`,
  drip: ({ ms = 200 }) => `an endless reply, a byte each ${ms} ms`,
  garbage: () => 'garbage in place of a reply',
  'close-before': () => 'the connection drops before the final dot',
  'close-after': () => 'kept, then the connection drops without a reply',
  'silence-after': () => 'kept, and no answer',
}

function answers(fault: Fault): string {
  const { code, text } = replyOf(fault)
  return `${code} ${text}`
}

/** The page around the list and the opened mail. */
export interface InboxPage {
  /** Newest first. */
  mails: readonly ReceivedMail[]
  /** How many are kept in all. */
  kept: number
  /** What was searched for, or ''. */
  q: string
  opened?: { mail: ReceivedMail; view: View }
  faults: readonly Fault[]
  /** The way to the router's root. */
  root: string
  smtpUrl: string
  /** Where the brand links to, from the router's root. */
  home?: string
}

export function inboxPage(contents: InboxPage): string {
  const { mails, kept, q, opened, faults, root, smtpUrl, home } = contents
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
          >${mark}<span>threadpost</span></a
        >
        <h1 class="place"><a href="${root || './'}">Inbox</a></h1>
        <form class="search" role="search" action="${root || './'}">
          <input
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
        <p class="address"><span class="dim">listens on</span> <code>${smtpUrl}</code></p>
        <button class="button quiet" id="make-fault" type="button" hidden>Make it fail</button>
        <button class="button quiet" id="clear" type="button" ${kept === 0 ? html`disabled` : ''}>
          Clear
        </button>
      </header>
      ${faultBanner(faults)}
      <main class="panes" data-root="${root}" data-query="${query}">
        <nav class="list" id="list" aria-label="Mails">
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
        ${mails.length === 0 ? 'Nothing' : mails.length} of ${kept} fit${mails.length === 1 ? 's' : ''}
        <a href="${root || './'}">Show all</a>
      </p>`
    }
    <ol>
      ${mails.map((mail) => row(mail, root, query, opened?.mail.id))}
    </ol>
    ${q === '' && rest > 0 && html`<p class="found">and ${rest} older: search finds them</p>`}`
}

function row(mail: ReceivedMail, root: string, query: string, opened: string | undefined): Html {
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
      ${hasAttachment(mail) && html`<span class="row-files">${filesOf(mail)}</span>`}
      <span class="row-text">${snippetOf(mail)}</span>
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
    <p>Send to <code>${smtpUrl}</code> and it appears here. Nothing leaves this machine.</p>
  </div>`
}

function placeholder(mails: number): Html {
  return html`<section class="mail none" aria-label="No mail opened">
    ${mails > 0 ? html`<p>Choose a mail to read it.</p>` : ''}
  </section>`
}

function filesOf({ attachments }: ReceivedMail): string {
  const files = attachments.filter(({ inline }) => !inline).length
  return `${files} ${files === 1 ? 'file' : 'files'}`
}

function snippetOf(mail: ReceivedMail): string {
  return (mail.text ?? '').slice(0, 400).replace(/\s+/g, ' ').trim().slice(0, 140)
}
