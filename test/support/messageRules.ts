import { ThreadpostError } from '../../src/errors.js'
import type { MailJob } from '../../src/message/messageState.js'
import { type ValidationContext, toJob } from '../../src/message/toJob.js'
import { resolveOptions } from '../../src/options.js'

export const NOW = Date.UTC(2026, 0, 1)

export const rules: ValidationContext = {
  options: resolveOptions({
    transport: 'smtp://127.0.0.1:25',
    from: 'Acme <hello@acme.example>',
    limits: { recipients: 5, message: 100_000, attachments: 3 },
  }),
  transports: {
    first: 'default',
    open: false,
    names: ['default', 'bulk'],
    has: (name) => ['default', 'bulk'].includes(name),
    withoutRaw: () => false,
    reversePathLimit: () => undefined,
  },
  templates: new Map([
    ['welcome', { name: 'welcome', locales: [], languages: [], hasSubject: true, needs: [], shape: {} }],
    ['bare', { name: 'bare', locales: [], languages: [], hasSubject: false, needs: [], shape: {} }],
  ]),
}

/** The mail's job, by these rules and at that time. */
export function job(mail: object): MailJob {
  return toJob(mail, rules, NOW)
}

/** How the mail is refused. */
export function refusal(mail: unknown): { code: string; path: string | undefined } {
  try {
    toJob(mail, rules, NOW)
  } catch (error) {
    if (error instanceof ThreadpostError) return { code: error.code, path: error.path }
    throw error
  }
  throw new Error('it was accepted')
}

export const plain = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }
