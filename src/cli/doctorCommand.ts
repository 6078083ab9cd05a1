import { stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import type { TransportReport } from '../protocol/transportConfig.js'
import { mailerOptions, type MailerSettings, withMailerFlags } from './settings.js'
import { toned, withExamples } from './terminal.js'

/** One thing looked at. */
interface Finding {
  what: 'mailer' | 'transport' | 'queue' | 'disk' | 'clock'
  ok: boolean
  /** One sentence. */
  says: string
  /** More of it, a line each. */
  details?: string[]
}

const LITTLE_SPACE = 500 * 1024 * 1024

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('look whether mail could go out')
    .description(
      'Look whether mail could go out, and say what is in its way: it connects to the transport, secures the line and logs in, ' +
        'opens the queue, and looks at disk and clock. It sends nothing. Exit code 1: mail could not go out.',
    )
    .option('--json', 'print the findings as JSON')
  return withExamples(withMailerFlags(command).action(doctor), {
    'before a deployment':
      'threadpost doctor --transport smtp://user:pass@smtp.acme.example:587 --queue sqlite:./outbox.db',
    'as a probe, with the settings in the environment': 'threadpost doctor --json',
  })
}

async function doctor(settings: MailerSettings & { json?: boolean }): Promise<void> {
  const findings = await examine(settings)
  if (settings.json === true) console.log(JSON.stringify(findings, null, 2))
  else console.log(findings.map(describe).join('\n'))
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1
}

async function examine(settings: MailerSettings): Promise<Finding[]> {
  const around = [await disk(settings.queue), await clock()]
  let mailer: Mailer
  try {
    mailer = await createMailer({ ...(await mailerOptions(settings)), threads: 1 })
  } catch (error) {
    return [{ what: 'mailer', ok: false, says: (error as Error).message }, ...around]
  }
  try {
    const verified = await mailer.verify()
    return [
      mailer.inbox === undefined ? transport(verified) : embedded(verified),
      await queue(mailer),
      ...around,
    ]
  } finally {
    await mailer.close({ deadline: 0 })
  }
}

function transport(report: TransportReport): Finding {
  const place = report.port === 0 ? report.host : `${report.host}:${report.port}`
  if (!report.ok) return { what: 'transport', ok: false, says: `${place}: ${report.message}` }
  const { tls, authenticated, extensions } = report
  return {
    what: 'transport',
    ok: true,
    says: `${place} takes mail (${report.ms.toFixed(0)} ms)`,
    details: [
      tls === undefined
        ? 'in clear, which is for loopback only'
        : `${tls.protocol} ${tls.cipher}, certificate ${tls.authorized ? 'valid' : 'NOT VERIFIED'} for ${tls.subject} until ${tls.expires}`,
      authenticated ? 'user and password were accepted' : 'without authentication',
      `it offers ${extensions.join(', ')}`,
    ],
  }
}

/** Said at once, since who forgot the transport would else read that mail goes out. */
function embedded(report: TransportReport): Finding {
  const { details = [], ...finding } = transport(report)
  return {
    ...finding,
    details: ['the embedded inbox, for --transport names no other: no mail leaves this machine', ...details],
  }
}

async function queue(mailer: Mailer): Promise<Finding> {
  const { queued, deferred, held, failed, oldest } = await mailer.stats()
  const waiting = queued + deferred + held
  return {
    what: 'queue',
    ok: true,
    says: `${waiting} messages wait${waiting === 0 ? '' : `, the oldest for ${Math.round(oldest / 1000)} s`}; ${held} held, ${failed} failed`,
  }
}

/** Where the queue keeps its file, or the working directory. */
async function disk(queueUrl: string | undefined): Promise<Finding> {
  const folder =
    queueUrl?.startsWith('sqlite:') === true ? path.dirname(queueUrl.slice('sqlite:'.length)) : '.'
  try {
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    return {
      what: 'disk',
      ok: free > LITTLE_SPACE,
      says: `${Math.round(free / 2 ** 20)} MB free in ${path.resolve(folder)}`,
    }
  } catch (error) {
    return { what: 'disk', ok: false, says: (error as Error).message }
  }
}

/** A clock before the day this program was installed would expire and date mail wrongly. */
async function clock(): Promise<Finding> {
  const { mtime } = await stat(new URL(import.meta.url))
  const now = new Date()
  const ok = now >= mtime
  return {
    what: 'clock',
    ok,
    says: `${now.toISOString()}${ok ? '' : `, which is before threadpost was installed (${mtime.toISOString()})`}`,
  }
}

function describe({ what, ok, says, details = [] }: Finding): string {
  return [
    `${ok ? toned('good', 'ok   ') : toned('bad', 'WRONG')}  ${what.padEnd(9)}  ${says}`,
    ...details.map((detail) => toned('faint', `                  ${detail}`)),
  ].join('\n')
}
