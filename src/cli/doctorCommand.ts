import { stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import type { TransportReport } from '../protocol/transportConfig.js'
import { mailerOptions, type MailerSettings, withMailerFlags } from './settings.js'
import { toned, withExamples } from './terminal.js'

/** Result of one check. */
interface Finding {
  what: 'mailer' | 'transport' | 'dkim' | 'queue' | 'disk' | 'clock'
  ok: boolean
  /** One sentence. */
  says: string
  /** Further lines. */
  details?: string[]
}

/** Free disk space below which the check fails, in bytes. */
const MIN_FREE_SPACE = 500 * 1024 * 1024

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('check whether mail can be sent')
    .description(
      'Check whether mail can be sent, and report what prevents it. The command connects to the transport, starts TLS, ' +
        'authenticates, compares the DKIM key with its DNS record, opens the queue, and checks the disk and the clock. It sends nothing. It exits with 1 if a check fails.',
    )
    .option('--json', 'print the findings as JSON')
  return withExamples(withMailerFlags(command).action(doctor), {
    'check before a deployment':
      'threadpost doctor --transport smtp://user:pass@smtp.acme.example:587 --queue sqlite:./outbox.db',
    'run as a probe, with settings from the environment': 'threadpost doctor --json',
  })
}

async function doctor(settings: MailerSettings & { json?: boolean }): Promise<void> {
  const findings = await examine(settings)
  if (settings.json === true) console.log(JSON.stringify(findings, null, 2))
  else console.log(findings.map(describe).join('\n'))
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1
}

async function examine(settings: MailerSettings): Promise<Finding[]> {
  const hostFindings = [await disk(settings.queue), await clock()]
  let mailer: Mailer
  try {
    mailer = await createMailer({ ...(await mailerOptions(settings)), threads: 1 })
  } catch (error) {
    return [{ what: 'mailer', ok: false, says: (error as Error).message }, ...hostFindings]
  }
  try {
    const verified = await mailer.verify()
    return [
      mailer.inbox === undefined ? transport(verified) : embedded(verified),
      ...(verified.dkim ?? []).map(({ ok, message }): Finding => ({ what: 'dkim', ok, says: message })),
      await queue(mailer),
      ...hostFindings,
    ]
  } finally {
    await mailer.close({ deadline: 0 })
  }
}

function transport(report: TransportReport): Finding {
  const server = report.port === 0 ? report.host : `${report.host}:${report.port}`
  if (!report.ok) return { what: 'transport', ok: false, says: `${server}: ${report.message}` }
  const { tls, authenticated, ehloName, extensions } = report
  return {
    what: 'transport',
    ok: true,
    says: `${server} accepts mail (${report.ms.toFixed(0)} ms)`,
    details: [
      tls === undefined
        ? 'without TLS, which is allowed on loopback only'
        : `${tls.protocol} ${tls.cipher}, certificate ${tls.authorized ? 'valid' : 'NOT VERIFIED'} for ${tls.subject} until ${tls.expires}`,
      authenticated ? 'user and password were accepted' : 'without authentication',
      ...(ehloName === undefined ? [] : [`introduced as ${ehloName} (ehloName)`]),
      `extensions: ${extensions.join(', ')}`,
    ],
  }
}

/** Puts the embedded inbox first, so that a user who forgot the transport doesn't believe that mail is sent. */
function embedded(report: TransportReport): Finding {
  const { details = [], ...finding } = transport(report)
  return {
    ...finding,
    details: [
      'this is the embedded inbox, because --transport is not set: no mail leaves this machine',
      ...details,
    ],
  }
}

async function queue(mailer: Mailer): Promise<Finding> {
  const { queued, deferred, held, failed, oldest } = await mailer.stats()
  const waiting = queued + deferred + held
  return {
    what: 'queue',
    ok: true,
    says: `${waiting} waiting${waiting === 0 ? '' : ` (the oldest for ${Math.round(oldest / 1000)} s)`}, ${held} held, ${failed} failed`,
  }
}

/** Checks the disk with the queue's file, or else with the current folder. */
async function disk(queueUrl: string | undefined): Promise<Finding> {
  const folder =
    queueUrl?.startsWith('sqlite:') === true ? path.dirname(queueUrl.slice('sqlite:'.length)) : '.'
  try {
    const { bavail, bsize } = await statfs(folder)
    const free = bavail * bsize
    return {
      what: 'disk',
      ok: free > MIN_FREE_SPACE,
      says: `${Math.round(free / 2 ** 20)} MB free in ${path.resolve(folder)}`,
    }
  } catch (error) {
    return { what: 'disk', ok: false, says: (error as Error).message }
  }
}

/**
 * Checks that the clock is not earlier than this program's installation: a wrong clock would date and expire mail
 * wrongly.
 */
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
    `${ok ? toned('good', 'ok   ') : toned('bad', 'FAIL ')}  ${what.padEnd(9)}  ${says}`,
    ...details.map((detail) => toned('faint', `                  ${detail}`)),
  ].join('\n')
}
