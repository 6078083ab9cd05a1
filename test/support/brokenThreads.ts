import type { Mailer, QueueOptions } from 'threadpost'
import type { Inbox } from 'threadpost/testing'
import { expect } from 'vitest'

export const page = (text: string): string =>
  `<mjml><mj-head><mj-title>t</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${text}</mj-text></mj-column></mj-section></mj-body></mjml>`

/** A name, and the queue in a folder. */
export const queues: [string, (folder: string) => string | QueueOptions][] = [
  ['memory', () => 'memory'],
  ['sqlite', (folder) => `sqlite:${folder}/outbox.db`],
]

export const fine = (n: number) => ({ template: 'fine', to: `user${n}@example.com`, data: { name: `N${n}` } })

/** Each message was sent; whatever arrived twice is marked. */
export async function expectAllSent(mailer: Mailer, inbox: Inbox, ids: string[]): Promise<void> {
  const messages = await Promise.all(ids.map((id) => mailer.wait(id)))
  expect(messages.map(({ status }) => status)).toEqual(ids.map(() => 'sent'))
  for (const { recipients, uncertain } of messages) {
    const copies = inbox.stored().filter(({ envelope }) => envelope.to[0] === recipients[0]?.address).length
    if (uncertain) expect(copies).toBeGreaterThanOrEqual(1)
    else expect(copies).toBe(1)
  }
}
