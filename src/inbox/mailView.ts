import type { InboxAddress } from '../mime/parseMime.js'
import {
  FRAME_SANDBOX,
  htmlNote,
  truncationNote,
  type Excerpt,
  shownHeaders,
  shownText,
} from '../web/mailFrame.js'
import { html, type Html, type HtmlValue } from '../web/page.js'
import type { ReceivedMail } from './receivedMail.js'

export const VIEWS = ['html', 'text', 'links', 'headers', 'raw'] as const
export type View = (typeof VIEWS)[number]

const RAW_SHOWN = 256 * 1024
/** Attachments and addresses that a page lists, and characters of each text in a line. */
const LISTED_FILES = 100
const LISTED_ADDRESSES = 100
const LISTED_TEXT = 1_000
const VIEW_NAMES: Record<View, string> = {
  html: 'HTML',
  text: 'Text',
  links: 'Links',
  headers: 'Headers',
  raw: 'Raw',
}

/** The open message. */
export interface OpenedMail {
  mail: ReceivedMail
  view: View
  /** The relative path to the router's root. */
  root: string
  /** The query of the search, for links: '' or `?q=…`. */
  query: string
}

export function mailPane({ mail, view, root, query }: OpenedMail): Html {
  const here = `${root}messages/${mail.id}`
  const files = mail.attachments.map((file, index) => ({ ...file, index })).filter(({ inline }) => !inline)
  return html`<article class="mail" data-id="${mail.id}">
    <header class="mail-head">
      <a class="back" href="${root || './'}${query}">‹ All messages</a>
      <h2>${subjectOf(mail)}</h2>
      <dl class="meta">
        ${meta('From', mail.from === undefined ? mail.envelope.from || '(none)' : people([mail.from]))}
        ${meta('To', mail.to.length > 0 ? people(mail.to) : listed(mail.envelope.to))}
        ${mail.cc.length > 0 && meta('Cc', people(mail.cc))} ${bccRecipients(mail)}
        ${meta('Received', time(mail.receivedAt))}
      </dl>
      ${
        files.length > 0 &&
        html`<ul class="files" aria-label="Attachments">
          ${files.slice(0, LISTED_FILES).map(
            ({ filename, contentType, content, index }) =>
              html`<li>
                <a class="button" href="${here}/attachments/${index}" download
                  >${(filename ?? contentType).slice(0, LISTED_TEXT)}
                  <span class="dim">${size(content.byteLength)}</span></a
                >
              </li>`,
          )}
          ${files.length > LISTED_FILES && html`<li class="dim">and ${files.length - LISTED_FILES} more</li>`}
        </ul>`
      }
    </header>
    <div class="tools">
      <nav class="tabs" aria-label="Views">${VIEWS.map((name) => tab(mail, name, view, here, query))}</nav>
      ${
        view === 'html' &&
        html`<div class="toggles" role="group" aria-label="Preview options" hidden>
          <button class="button quiet" type="button" data-toggle="phone" aria-pressed="false">Phone</button>
          <button class="button quiet" type="button" data-toggle="shade" aria-pressed="false">Dark</button>
        </div>`
      }
      <span class="dim size">${size(mail.raw.byteLength)}</span>
      <a class="button quiet" href="${here}/mail.eml" download>.eml</a>
      <button class="button quiet" type="button" id="delete" hidden>Delete</button>
    </div>
    ${mail.leftOut.map(noteIn)} ${contents(mail, view, here)}
  </article>`
}

/** A note about a part that isn't shown in full. */
function noteIn(note: string): Html {
  return html`<p class="left-out" role="note">${note}</p>`
}

function plain({ text, note }: Excerpt, kind: string): Html {
  return html`${note !== undefined && noteIn(note)}
    <pre class="${kind}" tabindex="0">${text}</pre>`
}

function listed(texts: readonly string[]): string {
  const rest = texts.length - LISTED_ADDRESSES
  return (
    texts
      .slice(0, LISTED_ADDRESSES)
      .join(', ')
      .slice(0, LISTED_TEXT * 10) + (rest > 0 ? ` and ${rest} more` : '')
  )
}

function tab(mail: ReceivedMail, name: View, view: View, here: string, query: string): Html {
  const links = name === 'links' ? mail.links().length : 0
  const missing =
    (name === 'html' && mail.html === undefined) ||
    (name === 'text' && mail.text === undefined) ||
    (name === 'links' && links === 0)
  if (missing) return html`<span class="tab missing">${VIEW_NAMES[name]}</span>`
  return html`<a
    class="tab"
    href="${here}?view=${name}${query.replace('?', '&')}"
    ${name === view ? html`aria-current="page"` : ''}
    >${VIEW_NAMES[name]}${links > 0 && html` <span class="dim">${links}</span>`}</a
  >`
}

function contents(mail: ReceivedMail, view: View, here: string): Html {
  switch (view) {
    case 'html': {
      const note = htmlNote(mail.html ?? '')
      return html`${note !== undefined && noteIn(note)}
        <div class="frame">
          <iframe
            src="${here}/html"
            sandbox="${FRAME_SANDBOX}"
            referrerpolicy="no-referrer"
            title="Message"
          ></iframe>
        </div>`
    }
    case 'text':
      return plain(shownText(mail.text ?? '', 'text'), 'plain reading')
    case 'links':
      return html`<ol class="links">
        ${mail
          .links()
          .map(
            ({ url, text }) =>
              html`<li>${text !== '' && text !== url && html`<span>${text}</span>`} ${linkTo(url)}</li>`,
          )}
      </ol>`
    case 'headers': {
      const { headers, note } = shownHeaders(mail.headers)
      return html`${note !== undefined && noteIn(note)}
        <dl class="headers" tabindex="0">
          ${headers.map(
            ({ name, value }) =>
              html`<dt>${name}</dt>
                <dd>${value}</dd>`,
          )}
        </dl>`
    }
    case 'raw':
      return plain(
        {
          text: new TextDecoder().decode(mail.raw.subarray(0, RAW_SHOWN)),
          ...(mail.raw.byteLength > RAW_SHOWN ? { note: truncationNote('raw mail', RAW_SHOWN) } : {}),
        },
        'plain',
      )
  }
}

/** Only `http:`, `https:`, and `mailto:` URLs become links: a message may contain any URL. */
function linkTo(url: string): Html {
  return /^(https?|mailto):/i.test(url)
    ? html`<a href="${url}" target="_blank" rel="noopener noreferrer">${url}</a>`
    : html`<code>${url}</code>`
}

/** The view that a message opens in. */
export function defaultView(mail: ReceivedMail): View {
  return mail.html !== undefined ? 'html' : mail.text !== undefined ? 'text' : 'raw'
}

/** The recipients that the headers don't name. */
function bccRecipients(mail: ReceivedMail): HtmlValue {
  const named = new Set([...mail.to, ...mail.cc].map(({ address }) => address.toLowerCase()))
  const hidden = mail.envelope.to.filter((address) => !named.has(address.toLowerCase()))
  return hidden.length > 0 && mail.to.length > 0 && meta('Bcc', listed(hidden))
}

function meta(name: string, value: HtmlValue): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`
}

function people(addresses: readonly InboxAddress[]): string {
  return listed(addresses.map(({ name, address }) => (name === '' ? address : `${name} <${address}>`)))
}

export function subjectOf(mail: Pick<ReceivedMail, 'subject'>): string {
  return mail.subject === '' ? '(no subject)' : mail.subject.slice(0, LISTED_TEXT)
}

/** The time in UTC. The script replaces it with the local time. */
export function time(iso: string): Html {
  return html`<time datetime="${iso}">${iso.slice(11, 16)}</time>`
}

function size(bytes: number): string {
  return bytes < 1000
    ? `${bytes} B`
    : bytes < 1e6
      ? `${Math.round(bytes / 1000)} kB`
      : `${(bytes / 1e6).toFixed(1)} MB`
}
