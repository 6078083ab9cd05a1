import { html, type Html, logo, page } from '../web/page.js'
import type { Fault } from './faults.js'
import { faultBanner, faultDialog } from './faultsView.js'
import { hasAttachment } from './mailSearch.js'
import { mailPane, subjectOf, time, type View } from './mailView.js'
import type { ReceivedMail } from './receivedMail.js'

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
          >${logo}<span>threadpost</span></a
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
