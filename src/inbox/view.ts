import { html, type Html, type HtmlValue } from '../express/html.js'
import { mark, page } from '../express/page.js'
import { FRAME_SANDBOX } from './frame.js'
import type { InboxAddress } from './parse.js'
import type { ReceivedMail } from './store.js'

export const VIEWS = ['html', 'text', 'headers', 'raw'] as const
export type View = (typeof VIEWS)[number]

/** The page around the list and the opened mail. */
export interface InboxPage {
  /** Newest first. */
  mails: readonly ReceivedMail[]
  opened?: { mail: ReceivedMail; view: View }
  /** The way to the router's root. */
  root: string
  smtpUrl: string
  /** Where the brand links to, from the router's root. */
  home?: string
}

const RAW_SHOWN = 256 * 1024
const VIEW_NAMES: Record<View, string> = { html: 'HTML', text: 'Text', headers: 'Headers', raw: 'Raw' }

export function inboxPage({ mails, opened, root, smtpUrl, home }: InboxPage): string {
  const title = opened === undefined ? 'Inbox' : `${subjectOf(opened.mail)} · Inbox`
  return page({
    title: mails.length === 0 ? 'Inbox' : `${title} (${mails.length})`,
    root,
    styles: ['inbox.css'],
    scripts: ['inbox.js'],
    kind: opened === undefined ? 'inbox' : 'inbox opened',
    body: html`
      <header class="bar">
        <a class="brand" href="${home === undefined ? root || './' : `${root}${home}`}"
          >${mark}<span>threadpost</span></a
        >
        <h1 class="place"><a href="${root || './'}">Inbox</a></h1>
        <p class="address"><span class="dim">listens on</span> <code>${smtpUrl}</code></p>
        <button class="button quiet" id="clear" type="button" ${mails.length === 0 ? html`disabled` : ''}>
          Clear
        </button>
      </header>
      <main class="panes" data-root="${root}">
        <nav class="list" id="list" aria-label="Mails">
          ${
            mails.length === 0
              ? emptyList(smtpUrl)
              : html`<ol>
                  ${mails.map((mail) => row(mail, root, opened?.mail.id))}
                </ol>`
          }
        </nav>
        ${opened === undefined ? placeholder(mails.length) : mailPane(opened.mail, opened.view, root)}
      </main>
      <p class="hidden-label" id="news" role="status"></p>
    `,
  })
}

function row(mail: ReceivedMail, root: string, opened: string | undefined): Html {
  const files = mail.attachments.filter(({ inline }) => !inline).length
  return html`<li>
    <a class="row" href="${root}messages/${mail.id}" ${mail.id === opened ? html`aria-current="page"` : ''}>
      <span class="row-to">${mail.envelope.to.join(', ')}</span>
      ${time(mail.receivedAt)}
      <span class="row-subject">${subjectOf(mail)}</span>
      ${files > 0 ? html`<span class="row-files">${files} ${files === 1 ? 'file' : 'files'}</span>` : ''}
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

function mailPane(mail: ReceivedMail, view: View, root: string): Html {
  const here = `${root}messages/${mail.id}`
  const files = mail.attachments.map((file, index) => ({ ...file, index })).filter(({ inline }) => !inline)
  return html`<article class="mail">
    <header class="mail-head">
      <a class="back" href="${root || './'}">‹ All mails</a>
      <h2>${subjectOf(mail)}</h2>
      <dl class="meta">
        ${meta('From', mail.from === undefined ? mail.envelope.from || '(none)' : people([mail.from]))}
        ${meta('To', mail.to.length > 0 ? people(mail.to) : mail.envelope.to.join(', '))}
        ${mail.cc.length > 0 && meta('Cc', people(mail.cc))} ${hiddenRecipients(mail)}
        ${meta('Received', time(mail.receivedAt))}
      </dl>
      ${
        files.length > 0 &&
        html`<ul class="files">
          ${files.map(
            ({ filename, contentType, content, index }) =>
              html`<li>
                <a class="button" href="${here}/attachments/${index}" download
                  >${filename ?? contentType} <span class="dim">${size(content.byteLength)}</span></a
                >
              </li>`,
          )}
        </ul>`
      }
    </header>
    <div class="tools">
      <nav class="tabs" aria-label="Views">${VIEWS.map((name) => tab(mail, name, view, here))}</nav>
      ${
        view === 'html' &&
        html`<div class="toggles" role="group" aria-label="Preview" hidden>
          <button class="button quiet" type="button" data-toggle="phone" aria-pressed="false">Phone</button>
          <button class="button quiet" type="button" data-toggle="shade" aria-pressed="false">
            Other shade
          </button>
        </div>`
      }
      <span class="dim size">${size(mail.raw.byteLength)}</span>
      <a class="button quiet" href="${here}/mail.eml" download>.eml</a>
    </div>
    ${contents(mail, view, here)}
  </article>`
}

function tab(mail: ReceivedMail, name: View, view: View, here: string): Html {
  const missing = (name === 'html' && mail.html === undefined) || (name === 'text' && mail.text === undefined)
  if (missing) return html`<span class="tab" aria-disabled="true">${VIEW_NAMES[name]}</span>`
  return html`<a class="tab" href="${here}?view=${name}" ${name === view ? html`aria-current="page"` : ''}
    >${VIEW_NAMES[name]}</a
  >`
}

function contents(mail: ReceivedMail, view: View, here: string): Html {
  switch (view) {
    case 'html':
      return html`<div class="frame">
        <iframe
          src="${here}/html"
          sandbox="${FRAME_SANDBOX}"
          referrerpolicy="no-referrer"
          title="The mail"
        ></iframe>
      </div>`
    case 'text':
      return html`<pre class="plain reading" tabindex="0">${mail.text ?? mail.error ?? ''}</pre>`
    case 'headers':
      return html`<dl class="headers">
        ${mail.headers.map(
          ({ name, value }) =>
            html`<dt>${name}</dt>
              <dd>${value}</dd>`,
        )}
      </dl>`
    case 'raw':
      return html`<pre class="plain" tabindex="0">
${new TextDecoder().decode(mail.raw.subarray(0, RAW_SHOWN))}${
          mail.raw.byteLength > RAW_SHOWN && '\n… the rest is in the .eml file'
        }</pre>`
  }
}

/** The view to open a mail with. */
export function defaultView(mail: ReceivedMail): View {
  return mail.html !== undefined ? 'html' : mail.text !== undefined ? 'text' : 'raw'
}

/** Whom the headers don't name: blind copies. */
function hiddenRecipients(mail: ReceivedMail): HtmlValue {
  const named = new Set([...mail.to, ...mail.cc].map(({ address }) => address.toLowerCase()))
  const hidden = mail.envelope.to.filter((address) => !named.has(address.toLowerCase()))
  return hidden.length > 0 && mail.to.length > 0 && meta('Bcc', hidden.join(', '))
}

function meta(name: string, value: HtmlValue): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`
}

function people(addresses: readonly InboxAddress[]): string {
  return addresses.map(({ name, address }) => (name === '' ? address : `${name} <${address}>`)).join(', ')
}

function subjectOf(mail: ReceivedMail): string {
  return mail.subject === '' ? '(no subject)' : mail.subject
}

function snippetOf(mail: ReceivedMail): string {
  return (mail.text ?? '').slice(0, 400).replace(/\s+/g, ' ').trim().slice(0, 140)
}

function time(iso: string): Html {
  return html`<time datetime="${iso}">${iso.slice(11, 16)}</time>`
}

function size(bytes: number): string {
  return bytes < 1000
    ? `${bytes} B`
    : bytes < 1e6
      ? `${Math.round(bytes / 1000)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`
}
