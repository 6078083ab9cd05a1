import PostalMime, { type Address } from 'postal-mime'

export interface InboxAddress {
  /** The display name, or ''. */
  name: string
  address: string
}

export interface InboxAttachment {
  /** As the sender named it: never use it as a path. */
  filename?: string
  contentType: string
  /** Content-ID without its angle brackets: what `cid:` in the HTML refers to. */
  cid?: string
  /** Whether the HTML shows it (an inline image), so that it is no attachment to the reader. */
  inline: boolean
  content: Uint8Array
}

/** What a mail says. */
export interface MailContents {
  subject: string
  from?: InboxAddress
  to: InboxAddress[]
  cc: InboxAddress[]
  bcc: InboxAddress[]
  replyTo: InboxAddress[]
  /** With its angle brackets. */
  messageId?: string
  /** ISO 8601, or the header's value where it is no date. */
  date?: string
  /** All headers in their order, unfolded but not decoded. */
  headers: { name: string; value: string }[]
  html?: string
  text?: string
  attachments: InboxAttachment[]
  /** Why the mail could not be parsed; it then has a raw form only. */
  error?: string
}

/** Never throws: what arrives may be anything. */
export async function parseMail(raw: Uint8Array): Promise<MailContents> {
  try {
    const mail = await PostalMime.parse(raw, { attachmentEncoding: 'arraybuffer' })
    const html = mail.html
    return {
      subject: mail.subject ?? '',
      ...given('from', flat(mail.from === undefined ? [] : [mail.from])[0]),
      to: flat(mail.to),
      cc: flat(mail.cc),
      bcc: flat(mail.bcc),
      replyTo: flat(mail.replyTo),
      ...given('messageId', mail.messageId),
      ...given('date', mail.date),
      headers: mail.headers.map(({ originalKey, value }) => ({ name: originalKey, value })),
      ...given('html', html),
      ...given('text', mail.text),
      attachments: mail.attachments.map(({ filename, mimeType, contentId, content }) => {
        const cid = contentId?.replace(/^<|>$/g, '')
        return {
          ...given('filename', filename ?? undefined),
          contentType: mimeType,
          ...given('cid', cid),
          inline: cid !== undefined && html?.includes(`cid:${cid}`) === true,
          content: typeof content === 'string' ? Buffer.from(content) : new Uint8Array(content),
        }
      }),
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { subject: '', to: [], cc: [], bcc: [], replyTo: [], headers: [], attachments: [], error: why }
  }
}

/** Groups are replaced by their members. */
function flat(addresses: readonly Address[] = []): InboxAddress[] {
  return addresses.flatMap((entry) => entry.group ?? [entry]).map(({ name, address }) => ({ name, address }))
}

function given<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [key in K]: V })
}
