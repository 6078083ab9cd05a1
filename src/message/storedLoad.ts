import type { JobAttachment, JsonText, Mailbox } from '../protocol/tasks.js'

/** The value that a `load` function returned, validated. */
export interface AcceptedLoad {
  to?: Mailbox[]
  locale?: string
  data?: JsonText
  attachments?: JobAttachment[]
}

/** The value that a template's `load` function returned, as the queue stores it: JSON. */
export interface StoredLoad {
  data?: JsonText
  locale?: string
  to?: Mailbox[]
  /** The content of an attachment of bytes is base64. */
  attachments?: (Omit<JobAttachment, 'content'> & { content: string; base64?: true })[]
}

export function toStoredLoad({ attachments, ...rest }: AcceptedLoad): StoredLoad {
  if (attachments === undefined) return rest
  return {
    ...rest,
    attachments: attachments.map(({ content, ...fields }) =>
      typeof content === 'string'
        ? { ...fields, content }
        : { ...fields, content: Buffer.from(content).toString('base64'), base64: true },
    ),
  }
}

export function fromStoredLoad({ attachments, ...rest }: StoredLoad): AcceptedLoad {
  if (attachments === undefined) return rest
  return {
    ...rest,
    attachments: attachments.map(({ base64, content, ...fields }) => ({
      ...fields,
      content: base64 === true ? new Uint8Array(Buffer.from(content, 'base64')) : content,
    })),
  }
}
