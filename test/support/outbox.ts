import path from 'node:path'
import type { Mailer, MailerOptions } from 'threadpost'
import { folderOf } from './folder.js'
import { testMailer } from './mailer.js'

/** Where nobody listens. */
export const NOWHERE = 'smtp://127.0.0.1:9'
export const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello Ada' }

/** Where a test's outbox is to lie. */
export async function outboxFile(): Promise<string> {
  return path.join(await folderOf({}), 'outbox.db')
}

/** A mailer with its queue in that file, closed when the test ends. */
export function mailerOn(file: string, options: Partial<MailerOptions> = {}): Promise<Mailer> {
  return testMailer({ transport: NOWHERE, queue: `sqlite:${file}`, ...options })
}

/** Sends a mail, and tells whether it was taken in. */
export function accepts(mailer: Mailer): Promise<boolean> {
  return mailer.send(MAIL).then(
    () => true,
    () => false,
  )
}
