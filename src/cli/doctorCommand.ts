import { Resolver } from 'node:dns'
import { stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import { toAsciiDomain } from '../protocol/addressForms.js'
import type { TransportReport } from '../protocol/transportConfig.js'
import { checkDomain, type RecordFinding } from './domainRecords.js'
import { mailerOptions, type MailerSettings, withMailerFlags } from './settings.js'
import { toned, withExamples } from './terminal.js'

/** Result of one check. */
interface Finding {
  what: 'mailer' | 'transport' | 'dkim' | 'queue' | 'disk' | 'clock' | RecordFinding['what']
  ok: boolean
  /** One sentence. */
  says: string
  /** Further lines. */
  details?: string[]
}

/** Free disk space below which the check fails, in bytes. */
const MIN_FREE_SPACE = 500 * 1024 * 1024

interface DoctorSettings extends MailerSettings {
  json?: boolean
  domain?: string
  dkimSelector?: string[]
  dnsServer?: string
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .summary('check whether mail can be sent')
    .description(
      'Check whether mail can be sent, and report what prevents it. The command connects to the transport, starts TLS, ' +
        'authenticates, compares the DKIM key with its DNS record, opens the queue, and checks the disk and the clock. It sends nothing. With --domain, ' +
        'it also looks up the DNS records by which receivers judge the mail of a domain, and says what to publish. It exits with 1 if a check fails.',
    )
    .option('--domain <domain>', 'domain of From: look up its SPF, DKIM, DMARC, and MX records', parseDomain)
    .option(
      '--dkim-selector <name>',
      'with --domain: name of a DKIM key; can be repeated',
      (name: string, before: string[] | undefined) => [...(before ?? []), parseSelector(name)],
    )
    .option(
      '--dns-server <address>',
      'with --domain: DNS server, as ADDRESS or ADDRESS:PORT (default: that of the system)',
      parseServer,
    )
    .option('--json', 'print the findings as JSON')
  return withExamples(withMailerFlags(command).action(doctor), {
    'check before a deployment':
      'threadpost doctor --transport smtp://user:pass@smtp.acme.example:587 --queue sqlite:./outbox.db',
    'check the DNS records of a domain': 'threadpost doctor --domain acme.example --dkim-selector s1',
    'run as a probe, with settings from the environment': 'threadpost doctor --json',
  })
}

async function doctor(settings: DoctorSettings): Promise<void> {
  const findings = await examine(settings)
  if (settings.json === true) console.log(JSON.stringify(findings, null, 2))
  else console.log(findings.map(describe).join('\n'))
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1
}

async function examine(settings: DoctorSettings): Promise<Finding[]> {
  const hostFindings = [await disk(settings.queue), await clock()]
  let mailer: Mailer
  try {
    mailer = await createMailer({ ...(await mailerOptions(settings)), threads: 1 })
  } catch (error) {
    return [
      { what: 'mailer', ok: false, says: (error as Error).message },
      ...hostFindings,
      ...(await records(settings)),
    ]
  }
  try {
    const verified = await mailer.verify()
    return [
      mailer.inbox === undefined ? transport(verified) : embedded(verified),
      ...(verified.dkim ?? []).map(({ ok, message }): Finding => ({ what: 'dkim', ok, says: message })),
      await queue(mailer),
      ...hostFindings,
      ...(await records(settings, mailer.inbox === undefined ? verified.host : undefined)),
    ]
  } finally {
    await mailer.close({ deadline: 0 })
  }
}

/** @param host of the transport; undefined if there is none */
async function records(
  { domain, dkimSelector: selectors = [], dnsServer }: DoctorSettings,
  host?: string,
): Promise<Finding[]> {
  return domain === undefined ? [] : checkDomain({ domain, selectors, host, dnsServer })
}

function parseDomain(text: string): string {
  const domain = toAsciiDomain(text.replace(/\.$/, ''))?.toLowerCase()
  if (domain?.includes('.') !== true)
    throw new InvalidArgumentError('It must be a domain, such as acme.example.')
  return domain
}

function parseSelector(text: string): string {
  if (toAsciiDomain(text) === undefined)
    throw new InvalidArgumentError('It must be the name of a DKIM key, such as s1.')
  return text.toLowerCase()
}

function parseServer(text: string): string {
  try {
    new Resolver().setServers([text])
  } catch {
    throw new InvalidArgumentError('It must be an IP address, such as 9.9.9.9 or 127.0.0.1:5353.')
  }
  return text
}

function transport(report: TransportReport): Finding {
  const server = report.port === 0 ? report.host : `${report.host}:${report.port}`
  if (!report.ok) return { what: 'transport', ok: false, says: `${server}: ${report.message}` }
  const { tls, authenticated, ehloName, extensions, route } = report
  return {
    what: 'transport',
    ok: true,
    says: `${server} accepts mail (${report.ms.toFixed(0)} ms)`,
    details: [
      tls === undefined
        ? 'without TLS, which is allowed on loopback only'
        : `${tls.protocol} ${tls.cipher}, certificate ${tls.authorized ? 'valid' : 'NOT VERIFIED'} for ${tls.subject} until ${tls.expires}`,
      ...(route === undefined
        ? []
        : [
            `over IPv${route.family}: ${route.localAddress} to ${route.address}${route.proxy === undefined ? '' : `, the proxy ${route.proxy}`}`,
          ]),
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
    const { code, message } = error as NodeJS.ErrnoException
    const says = code === 'ENOENT' ? `the folder ${path.resolve(folder)} does not exist` : message
    return { what: 'disk', ok: false, says }
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
