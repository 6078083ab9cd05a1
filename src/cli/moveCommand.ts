import { existsSync } from 'node:fs'
import { Command, Option } from 'commander'
import { Clock } from '../clock.js'
import { ThreadpostError } from '../errors.js'
import { PREFIX as PROVIDER_IDS } from '../feedback/providerIds.js'
import { newToken } from '../message/ids.js'
import { resolveRetention, type QueueDriver } from '../queue/driver.js'
import { type CopiedRecords, moveQueue, type MoveResult } from '../queue/moveQueue.js'
import { openQueue, resolveQueue } from '../queue/openQueue.js'
import { PREFIX as SCHEDULES } from '../schedules/schedule.js'
import { fromRecord, keptUntil, PREFIX as SUPPRESSIONS } from '../suppressions/suppression.js'
import { COUNTER } from '../suppressions/suppressions.js'
import { PREFIX as TRANSPORTS } from '../transports/transportSettings.js'
import { Validator } from '../validation.js'
import { parseDuration } from './durations.js'
import { queueOption } from './settings.js'
import { lineLogger, progressBar, toned, withExamples } from './terminal.js'

interface MoveSettings {
  from: string
  to: string
  fromPrefix?: string
  toPrefix?: string
  fromSchema?: string
  toSchema?: string
  fromEncryptionKeyFile?: string
  toEncryptionKeyFile?: string
  history: boolean
  restart?: boolean
  wait: number
  json?: boolean
}

const check: Validator = new Validator('INVALID_OPTIONS')
const FOREVER = Number.MAX_SAFE_INTEGER
/** Milliseconds for which a provider's id finds its message in the target: as long as messages are kept by default. */
const KEEP_PROVIDER_ID = 7 * 24 * 60 * 60 * 1000

const RECORDS: readonly CopiedRecords[] = [
  {
    prefix: SUPPRESSIONS,
    keepUntil: (record) => keptUntil(fromRecord(record)),
    counter: { key: COUNTER, name: 'entries' },
  },
  { prefix: PROVIDER_IDS, keepUntil: () => Date.now() + KEEP_PROVIDER_ID },
  { prefix: SCHEDULES, keepUntil: () => FOREVER },
  { prefix: TRANSPORTS, keepUntil: () => FOREVER },
]

/** `threadpost move`: moves the messages of one queue to another. */
export function moveCommand(): Command {
  const command = new Command('move')
    .summary('move the messages of one queue to another')
    .description(
      'Move the messages of one queue to another, on SQLite, Redis, or Postgres, with their ids, times, priorities, and attempts, ' +
        'and copy the suppressions, schedules, and changed settings of transports. First switch all processes that send to the ' +
        'target. The source is paused during the move. If the command is interrupted, run it again: nothing is lost, and nothing is sent twice.',
    )
    .requiredOption(
      '--from <url>',
      'the source: sqlite:PATH, redis://HOST:PORT, or postgres://HOST:PORT/DATABASE',
    )
    .requiredOption('--to <url>', 'the target')
    .option('--from-prefix <name>', "prefix of the source's keys in Redis (default: threadpost)")
    .option('--to-prefix <name>', "prefix of the target's keys in Redis (default: threadpost)")
    .option('--from-schema <name>', "schema of the source's tables in Postgres (default: threadpost)")
    .option('--to-schema <name>', "schema of the target's tables in Postgres (default: threadpost)")
    .option('--from-encryption-key-file <file>', 'file with the keys of the source, if it is encrypted')
    .option('--to-encryption-key-file <file>', 'file with the keys of the target, if it is encrypted')
    .option('--no-history', 'leave settled messages where they are')
    .option('--restart', 'forget an interrupted move to a target that no longer exists')
    .addOption(
      new Option('--wait <time>', 'time for the deliveries in progress to end, such as 30s')
        .argParser(parseDuration)
        .default(30_000, '30s'),
    )
    .option('--json', 'print the result as JSON')
  return withExamples(command.action(move), {
    'from one machine to many':
      'threadpost move --from sqlite:./outbox.db --to postgres://app@db.acme.example/app',
    'from Redis to Postgres':
      'threadpost move --from redis://redis:6379 --to postgres://app@db.acme.example/app',
  })
}

async function move(settings: MoveSettings): Promise<void> {
  const { fromPrefix, fromSchema, fromEncryptionKeyFile } = settings
  const { toPrefix, toSchema, toEncryptionKeyFile } = settings
  const from = await open('from', settings.from, fromPrefix, fromSchema, fromEncryptionKeyFile)
  try {
    const to = await open('to', settings.to, toPrefix, toSchema, toEncryptionKeyFile)
    try {
      const bar = progressBar()
      const result = await moveQueue(from, to, {
        history: settings.history,
        restart: settings.restart === true,
        patience: settings.wait,
        records: RECORDS,
        progress: (moved, total) => bar(moved, total, `${moved} of ${total} messages`),
      })
      print(result, settings.json === true)
      if (result.left > 0) process.exitCode = 1
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

function open(
  flag: 'from' | 'to',
  url: string,
  prefix: string | undefined,
  schema: string | undefined,
  encryptionKeyFile: string | undefined,
): Promise<QueueDriver> {
  const settings = {
    queue: url,
    ...(prefix && { prefix }),
    ...(schema && { schema }),
    ...(encryptionKeyFile && { encryptionKeyFile }),
  }
  const spec = resolveQueue(check, queueOption(settings))
  if (flag === 'from' && spec.kind === 'sqlite' && !existsSync(spec.file))
    throw new ThreadpostError('INVALID_OPTIONS', 'from: this file does not exist', { path: 'from' })
  return openQueue(spec, {
    limit: FOREVER,
    maxAge: FOREVER,
    retain: resolveRetention(check, {}),
    onChange: () => undefined,
    logger: lineLogger,
    clock: new Clock(),
    token: newToken(),
  })
}

function print(result: MoveResult, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(result, null, 2))
    return
  }
  const { waiting, settled, resumed, records, conflicts, unchecked, left } = result
  const details = [`${waiting} waiting`, `${settled} settled`]
  if (resumed > 0) details.push(`${resumed} of them stored by an interrupted run`)
  console.log(toned('good', `messages moved: ${waiting + settled} (${details.join(', ')})`))
  console.log(`suppressions, schedules, and other records copied: ${records}`)
  if (left === 0) return
  console.log(toned('bad', `messages that stay in the source, which delivers them as before: ${left}`))
  if (conflicts.length > 0)
    console.log(`  another message in the target has their idempotency key: ${conflicts.join(', ')}`)
  if (unchecked > 0) console.log(`  submitted in SQL, and not yet checked by any process: ${unchecked}`)
}
