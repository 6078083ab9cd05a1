import type { InboxAttachment, MailContents } from '../web/parseMime.js'

/** Milliseconds for which the images of a mail are kept: a frame asks for all of them at once. */
const KEPT_FOR = 30_000
const MOST_MAILS = 8
/** Bytes of all that are kept. */
const MOST_BYTES = 64 * 1024 * 1024

interface Kept {
  attachments: Promise<readonly InboxAttachment[]>
  bytes: number
  timer: NodeJS.Timeout
}

/** The parts of mails that were framed a moment ago, so that a mail is not rendered and parsed anew for each of its images. */
export class FramedImages {
  readonly #mails = new Map<string, Kept>()

  keep(id: string, { attachments }: MailContents): void {
    this.#add(id, Promise.resolve(attachments), sizeOf(attachments))
  }

  /** @param load makes the mail, where it is not kept */
  async find(
    id: string,
    index: number,
    load: () => Promise<MailContents>,
  ): Promise<InboxAttachment | undefined> {
    const kept = this.#mails.get(id)
    if (kept !== undefined) return (await kept.attachments)[index]
    // Those who ask meanwhile wait for the same.
    const attachments = load().then((mail) => mail.attachments)
    this.#add(id, attachments, 0)
    try {
      const loaded = await attachments
      this.#add(id, attachments, sizeOf(loaded))
      return loaded[index]
    } catch (error) {
      this.#forget(id)
      throw error
    }
  }

  #add(id: string, attachments: Kept['attachments'], bytes: number): void {
    this.#forget(id)
    const timer = setTimeout(() => this.#forget(id), KEPT_FOR).unref()
    this.#mails.set(id, { attachments, bytes, timer })
    let sum = 0
    for (const kept of this.#mails.values()) sum += kept.bytes
    for (const [oldest, kept] of this.#mails) {
      if (oldest === id || (this.#mails.size <= MOST_MAILS && sum <= MOST_BYTES)) break
      sum -= kept.bytes
      this.#forget(oldest)
    }
  }

  #forget(id: string): void {
    clearTimeout(this.#mails.get(id)?.timer)
    this.#mails.delete(id)
  }
}

function sizeOf(attachments: readonly InboxAttachment[]): number {
  return attachments.reduce((sum, { content }) => sum + content.byteLength, 0)
}
