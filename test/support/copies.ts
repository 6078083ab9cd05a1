import type { Inbox } from 'threadpost/testing'

/** How often each Message-ID was received. */
export function copiesByMessageId(inbox: Inbox): Map<string, number> {
  const copies = new Map<string, number>()
  for (const { raw } of inbox.stored()) {
    const messageId = /^Message-ID: (\S+)/im.exec(Buffer.from(raw).toString('latin1'))?.[1] ?? ''
    copies.set(messageId, (copies.get(messageId) ?? 0) + 1)
  }
  return copies
}
