import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import type { Erasure } from '../privacy/erase.js'
import { resolveQueue } from '../queue/openQueue.js'
import { Validator } from '../validation.js'
import { archiveFlag, queueOption, type QueueSettings, withQueueFlags } from './settings.js'
import { toned, withExamples } from './terminal.js'

interface EraseSettings extends QueueSettings {
  archive?: string
  suppressions?: boolean
  by?: string
  json?: boolean
}

const check: Validator = new Validator('INVALID_OPTIONS')

/** `threadpost erase`: erases an address from everything that a queue keeps. */
export function eraseCommand(): Command {
  const command = new Command('erase')
    .summary('erase an address from the messages of a queue')
    .description(
      'Erase the address of a recipient on request (GDPR, article 17): from the messages of a queue, from schedules, and from events ' +
        'that wait for webhooks. The command also deletes messages to the address from the archive. Processes that use the queue keep running. ' +
        'The command exits with 1 if messages still have the address because they are being sent or could not be decrypted.',
    )
    .argument('<address>', 'the address: ada@example.com')
    .option('--suppressions', 'also remove it from the suppressed addresses, so that it can get mail again')
    .option('--by <name>', 'name of the operator, for the audit log')
    .option('--json', 'print the result as JSON')
    .addOption(archiveFlag())
  return withExamples(withQueueFlags(command).action(eraseAddress), {
    'from a queue in SQLite, and from the archive':
      'threadpost erase ada@example.com --queue sqlite:./outbox.db --archive ./archive',
  })
}

async function eraseAddress(address: string, settings: EraseSettings): Promise<void> {
  const { archive, suppressions = false, by } = settings
  const queue = queueOption(settings) ?? 'memory'
  const spec = resolveQueue(check, queue)
  if (spec.kind === 'memory')
    check.fail('queue', 'is required: --queue sqlite:PATH, redis://… or postgres://…, or THREADPOST_QUEUE')
  if (spec.kind === 'sqlite' && !existsSync(spec.file))
    throw new ThreadpostError('INVALID_OPTIONS', 'queue: this file does not exist', { path: 'queue' })
  const mailer = await createMailer({
    role: 'send',
    queue,
    ...(archive === undefined || archive === '' ? {} : { archive }),
  })
  try {
    const erasure = await mailer.erase(address, { suppressions, ...(by === undefined ? {} : { by }) })
    if (settings.json === true) console.log(JSON.stringify(erasure, null, 2))
    else print(erasure)
    const { inProgress, unreadable, spooled = 0 } = erasure
    if (inProgress + unreadable + spooled > 0) process.exitCode = 1
  } finally {
    await mailer.close()
  }
}

function print({ messages, cancelled, inProgress, unreadable, ...others }: Erasure): void {
  const { schedules, webhookEvents, archived } = others
  console.log(
    toned(
      'good',
      `erased from messages: ${messages} (including ${cancelled} that were waiting, and are now cancelled)`,
    ),
  )
  console.log(`schedules: ${schedules}, events for webhooks: ${webhookEvents}`)
  if (archived !== undefined) console.log(`files of the archive deleted: ${archived}`)
  if (inProgress > 0)
    console.log(
      toned('bad', `messages being sent: ${inProgress}; run the command again once they are settled`),
    )
  if (unreadable > 0)
    console.log(
      toned('bad', `messages that no key decrypts: ${unreadable}; add the key to --encryption-key-file`),
    )
}
