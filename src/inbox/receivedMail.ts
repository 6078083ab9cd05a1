import type { InboxAttachment, MailContents } from '../web/parseMime.js'
import { type MailLink, linksOf } from './links.js'
import type { RawMail } from './mailStore.js'

/** What one can ask of a mail; each complains in a sentence that names what there is instead. */
export interface MailReading {
  /** The links in their order, each URL once: those of the HTML, or else those of the text. */
  links(): MailLink[]
  /**
   * The first link whose URL or text fits: a part of it, or a pattern.
   * @throws Error when there is none
   */
  link(which: string | RegExp): MailLink
  /**
   * The attachment of this name, or the first whose name fits the pattern.
   * @throws Error when there is none
   */
  attachment(name: string | RegExp): InboxAttachment
  /** The value of a header, unfolded; the first of several. */
  header(name: string): string | undefined
}

/** A mail and what it says. */
export type ReceivedMail = RawMail & MailContents & MailReading

/** Puts together what came and what it says. */
export function toReceivedMail(raw: RawMail, contents: MailContents): ReceivedMail {
  return {
    ...raw,
    ...contents,
    links: () => linksOf(contents),
    link: (which) => {
      const links = linksOf(contents)
      const fits = (text: string) =>
        typeof which === 'string' ? text.includes(which) : text.search(which) !== -1
      const link = links.find(({ url, text }) => fits(url) || fits(text))
      return (
        link ??
        missing(
          'link',
          which,
          contents,
          links.map(({ url }) => url),
        )
      )
    },
    attachment: (name) => {
      const fits = (text: string) => (typeof name === 'string' ? text === name : text.search(name) !== -1)
      const file = contents.attachments.find(({ filename = '' }) => fits(filename))
      return file ?? missing('attachment', name, contents, contents.attachments.map(nameOf))
    },
    header: (name) =>
      contents.headers.find((header) => header.name.toLowerCase() === name.toLowerCase())?.value,
  }
}

function nameOf({ filename, contentType }: InboxAttachment): string {
  return filename ?? `one of ${contentType} without a name`
}

function missing(
  what: string,
  which: string | RegExp,
  { subject }: MailContents,
  there: readonly string[],
): never {
  const wanted = typeof which === 'string' ? JSON.stringify(which) : String(which)
  const found = there.length === 0 ? `it has no ${what}s` : `it has ${there.join(', ')}`
  throw new Error(`The mail '${subject}' has no ${what} ${wanted}: ${found}`)
}
