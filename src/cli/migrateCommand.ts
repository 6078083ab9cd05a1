import { Command } from 'commander'
import { ThreadpostError } from '../errors.js'
import { migrateQueue } from '../queue/openQueue.js'
import { queueOption, type QueueSettings, withQueueFlags } from './settings.js'
import { toned, withExamples } from './terminal.js'

interface MigrateSettings extends QueueSettings {
  print?: boolean
  json?: boolean
}

/** `threadpost migrate`: creates or updates the tables of a queue on Postgres. */
export function migrateCommand(): Command {
  const command = new Command('migrate')
    .summary('create or update the tables of a queue on Postgres')
    .description(
      'Create the schema of a queue on Postgres, or bring it to the version of this package. Run it as the owner of the tables ' +
        'before you deploy, if your application connects with a role that must not change them (migrate: false).',
    )
    .option('--print', 'print the statements of all migrations as a script, and change nothing')
    .option('--json', 'print the names of the applied migrations, or the statements, as JSON')
  return withExamples(withQueueFlags(command).action(migrate), {
    'before a deployment': 'threadpost migrate --queue postgres://owner@db.acme.example/app',
    'read what it would do on an empty database':
      'threadpost migrate --queue postgres://db.acme.example/app --print',
  })
}

async function migrate(settings: MigrateSettings): Promise<void> {
  const print = settings.print === true
  const queue = queueOption(settings)
  if (queue === undefined)
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'queue: is required: --queue postgres://HOST:PORT/DATABASE, or THREADPOST_QUEUE',
      { path: 'queue' },
    )
  const lines = await migrateQueue(queue, print)
  if (settings.json === true)
    console.log(JSON.stringify({ [print ? 'statements' : 'applied']: lines }, null, 2))
  else if (print) console.log(lines.join('\n'))
  else if (lines.length === 0) console.log('the tables are up to date')
  else for (const line of lines) console.log(toned('good', `applied: ${line}`))
}
