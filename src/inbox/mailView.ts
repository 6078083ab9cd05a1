import { FRAME_SANDBOX } from '../web/frame.js'
import { html, type Html, type HtmlValue } from '../web/html.js'
import type { InboxAddress } from '../web/parse.js'
import type { ReceivedMail } from './reading.js'

export const VIEWS = ['html', 'text', 'links', 'headers', 'raw'] as const
export type View = (typeof VIEWS)[number]

const RAW_SHOWN = 256 * 1024
const VIEW_NAMES: Record<View, string> = {
  html: 'HTML',
  text: 'Text',
  links: 'Links',
  headers: 'Headers',
  raw: 'Raw',
}

/** One mail, opened. */
export interface OpenedMail {
  mail: ReceivedMail
  view: View
  /** The way to the router's root. */
  root: string
  /** What follows an address so that the list stays as it is: '' or `?q=…`. */
  query: string
}

export function mailPane({ mail, view, root, query }: OpenedMail): Html {
  const here = `${root}messages/${mail.id}`
  const files = mail.attachments.map((file, index) => ({ ...file, index })).filter(({ inline }) => !inline)
  return html`<article class="mail" data-id="${mail.id}">
    <header class="mail-head">
      <a class="back" href="${root || './'}${query}">‹ All mails</a>
      <h2>${subjectOf(mail)}</h2>
      <dl class="meta">
        ${meta('From', mail.from === undefined ? mail.envelope.from || '(none)' : people([mail.from]))}
        ${meta('To', mail.to.length > 0 ? people(mail.to) : mail.envelope.to.join(', '))}
        ${mail.cc.length > 0 && meta('Cc', people(mail.cc))} ${hiddenRecipients(mail)}
        ${meta('Received', time(mail.receivedAt))}
      </dl>
      ${
        files.length > 0 &&
        html`<ul class="files" aria-label="Attachments">
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
      <nav class="tabs" aria-label="Views">${VIEWS.map((name) => tab(mail, name, view, here, query))}</nav>
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
      <button class="button quiet" type="button" id="delete" hidden>Delete</button>
    </div>
    ${contents(mail, view, here)}
  </article>`
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
    case 'links':
      return html`<ol class="links">
        ${mail
          .links()
          .map(
            ({ url, text }) =>
              html`<li>${text !== '' && text !== url && html`<span>${text}</span>`} ${linkTo(url)}</li>`,
          )}
      </ol>`
    case 'headers':
      return html`<dl class="headers" tabindex="0">
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

/** Only what leads to the web or to a mail can be followed: a mail may link to anything. */
function linkTo(url: string): Html {
  return /^(https?|mailto):/i.test(url)
    ? html`<a href="${url}" target="_blank" rel="noopener noreferrer">${url}</a>`
    : html`<code>${url}</code>`
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

export function subjectOf(mail: ReceivedMail): string {
  return mail.subject === '' ? '(no subject)' : mail.subject
}

/** In UTC; the script makes it local. */
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
