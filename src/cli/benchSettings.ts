import { existsSync } from 'node:fs'
import path from 'node:path'
import { InvalidArgumentError } from 'commander'
import { findProgram, type Programs } from '../bench/environment.js'
import { FAMILIES, type Family, modesOf } from '../bench/modes.js'
import type { BenchSettings } from '../bench/rounds.js'
import type { DkimAlgorithm } from '../bench/security.js'
import { SENDER, type Workload } from '../bench/workload.js'
import { ThreadpostError } from '../errors.js'
import { readTemplateData, parseInteger } from './settings.js'

/** Flags of `threadpost bench`, as parsed by commander. */
export interface BenchFlags {
  modes?: Family[]
  threads?: number[]
  rounds?: number
  seconds?: number
  messages?: number
  rate?: number
  http: number
  connections: number
  batch: number
  latency: number
  templates?: string
  template?: string
  data?: string
  smtpSink?: string
  smtpSource?: string
  redis?: string
  server?: string
  iOwnThisServer?: boolean
  to?: string
  from?: string
  json?: boolean
  markdown?: boolean
  html?: string
  targets?: boolean
  scaling?: boolean
  soak?: number
  tls?: boolean
  auth?: boolean
  dkim?: DkimAlgorithm
}

/** Time limit of the rounds of a benchmark without settings, in seconds. */
const BUDGET = 90
/** Length of a phase, in seconds. Shorter ones measure V8's compiler, so a benchmark in a hurry has fewer modes instead. */
const SECONDS = 3
const DEFAULT_ROUNDS = 3
/** The modes that a benchmark without settings compares. */
const DEFAULT_FAMILIES: readonly Family[] = ['naive', 'precompiled', 'memory']

/** @throws ThreadpostError `INVALID_OPTIONS` */
export async function benchSettings(flags: BenchFlags): Promise<BenchSettings> {
  const { rounds = DEFAULT_ROUNDS, messages, rate, http, connections, batch, latency, redis } = flags
  const programs = await findPrograms(flags)
  const chosen = flags.modes !== undefined || flags.targets === true
  const families = flags.modes ?? (chosen ? availableFamilies(flags, programs) : DEFAULT_FAMILIES)
  const threads = flags.threads ?? (chosen ? [1, 2] : [1])
  const modes = modesOf(
    families,
    threads.filter((count) => count > 0),
  )
  if (modes.length === 0) throw invalid('--modes and --threads select no mode')
  const workload = await workloadOf(flags)
  return {
    modes,
    rounds,
    ...(flags.rounds === undefined && flags.seconds === undefined && flags.targets !== true
      ? { budget: BUDGET }
      : {}),
    seconds: flags.seconds ?? SECONDS,
    security: {
      tls: flags.tls === true,
      auth: flags.auth === true,
      ...(flags.dkim === undefined ? {} : { dkim: flags.dkim }),
    },
    http,
    connections,
    latency,
    batch,
    programs,
    ...(messages === undefined ? {} : { messages }),
    ...(rate === undefined ? {} : { rate }),
    ...(workload === undefined ? {} : { workload }),
    ...(redis === undefined ? {} : { redis }),
    ...serverOf(flags),
  }
}

/** Returns the families that this machine can measure; the ones that need Redis are included only if there is one. */
function availableFamilies({ redis, server }: BenchFlags, programs: Programs): Family[] {
  const hasRedis = redis !== undefined || programs.redisServer !== undefined
  return FAMILIES.filter((family) => {
    if (family === 'redis' || family === 'bullmq') return hasRedis
    if (family === 'smtp-source') return programs.smtpSource !== undefined && server === undefined
    return true
  })
}

async function workloadOf(flags: BenchFlags): Promise<Workload | undefined> {
  const { template: given, templates, data } = flags
  if (given === undefined) {
    if (templates !== undefined || data !== undefined)
      throw invalid('--template: is required with --templates and --data')
    return undefined
  }
  const folder = path.resolve(templates ?? 'templates')
  const template = templateNameOf(folder, given)
  const file = data ?? sampleOf(folder, template)
  return {
    title: `template ${given}`,
    templates: folder,
    template,
    data: file === undefined ? await sampleIn(folder, template) : await readTemplateData(file),
    recipients: 1,
    attachment: 0,
    from: SENDER,
  }
}

/** The name of a template may be given as that of its file, such as `welcome.tsx`. */
function templateNameOf(folder: string, given: string): string {
  const { name, ext } = path.parse(given)
  const isFile = ['.mjml', '.html', '.tsx', '.jsx'].includes(ext) && existsSync(path.join(folder, given))
  return isFile ? name : given
}

/** Returns the sample data that a template itself has, such as the `PreviewProps` of a React component. */
async function sampleIn(templates: string, template: string): Promise<object> {
  const { createMailer } = await import('../createMailer.js')
  const mailer = await createMailer({ transport: 'smtp://127.0.0.1:1', from: SENDER, templates, threads: 0 })
  try {
    const summaries = await mailer.describeTemplates()
    return summaries.find(({ name }) => name === template)?.sample ?? {}
  } finally {
    await mailer.close()
  }
}

/** Returns the path of the sample data next to a template; undefined if it has none. */
function sampleOf(templates: string, template: string): string | undefined {
  const file = path.join(templates, `${template}.json`)
  return existsSync(file) ? file : undefined
}

/** Returns the user's server and addresses. It requires confirmation, because they receive thousands of messages. */
function serverOf({
  server,
  iOwnThisServer,
  to,
  from,
  tls,
  auth,
}: BenchFlags): Pick<BenchSettings, 'server' | 'addresses'> {
  if (server === undefined) return {}
  if (tls === true || auth === true)
    throw invalid(
      '--server: excludes --tls and --auth; use smtps: and a user name in its URL, such as smtps://user:pass@host',
    )
  if (iOwnThisServer !== true)
    throw invalid(
      '--server: the benchmark sends thousands of messages there as fast as it can; add --i-own-this-server if the server is yours',
    )
  if (to === undefined || from === undefined)
    throw invalid('--server: requires --to and --from, with your own mailboxes')
  if (!URL.canParse(server)) throw invalid('--server: must be a URL such as smtp://user:pass@host:587')
  return { server, addresses: { to, from } }
}

async function findPrograms({ smtpSink, smtpSource }: BenchFlags): Promise<Programs> {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin']
  const sink = smtpSink ?? (await findProgram('smtp-sink', folders))
  const source = smtpSource ?? (await findProgram('smtp-source', folders))
  const redisServer = await findProgram('redis-server', folders)
  return {
    ...(sink === undefined ? {} : { smtpSink: sink }),
    ...(source === undefined ? {} : { smtpSource: source }),
    ...(redisServer === undefined ? {} : { redisServer }),
  }
}

function invalid(message: string): ThreadpostError {
  return new ThreadpostError('INVALID_OPTIONS', message)
}

/** Parses a list of numbers: `0,1,2`. */
export function parseCounts(text: string): number[] {
  return text.split(',').map(parseInteger(0))
}

/** Parses a list of families: `naive,memory`. */
export function parseFamilies(text: string): Family[] {
  return text.split(',').map((word) => {
    const family = FAMILIES.find((one) => one === word.trim())
    if (family === undefined)
      throw new InvalidArgumentError(`It must be a comma-separated list of: ${FAMILIES.join(', ')}.`)
    return family
  })
}
