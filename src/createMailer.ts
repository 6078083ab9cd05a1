import type { Mailer } from './mailer.js'
import { type MailerOptions, resolveOptions } from './options.js'
import { threadFile } from './protocol/threadFile.js'

/**
 * Creates a mailer: validates the options, starts the threads, and has one of them read the templates. Resolves when mail can be
 * sent.
 * @throws ThreadpostError `INVALID_OPTIONS`, `START_FAILED`
 */
export function createMailer(input: MailerOptions): Promise<Mailer> {
  return create(input, false)
}

/**
 * Creates a mailer whose worker threads also serve the other mailers created here with the same thread settings, for many
 * mailers in one process. A mailer with templates, or with a queue other than memory, has threads of its own.
 * @throws ThreadpostError `INVALID_OPTIONS`, `START_FAILED`
 */
export function createSharingMailer(input: MailerOptions): Promise<Mailer> {
  return create(input, true)
}

async function create(input: MailerOptions, sharing: boolean): Promise<Mailer> {
  const options = resolveOptions(input)
  // In a bundle, the code of a mailer would fail first, with an error that doesn't say what to do.
  if (options.threads > 0 && options.role !== 'send') threadFile('entry.cjs')
  // It is loaded with the first mailer, not with the package.
  const { assembleMailer } = await import('./assembleMailer.js')
  return assembleMailer(options, sharing)
}
