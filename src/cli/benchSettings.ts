import { existsSync } from 'node:fs'
import path from 'node:path'
import { InvalidArgumentError } from 'commander'
import { findProgram, type Programs } from '../bench/environment.js'
import { FAMILIES, type Family, modesOf } from '../bench/modes.js'
import { SENDER, type Workload } from '../bench/order.js'
import type { BenchSettings } from '../bench/rounds.js'
import { ThreadpostError } from '../errors.js'
import { dataFrom, wholeNumber } from './arguments.js'

/** The flags of `threadpost bench`, as commander gives them. */
export interface BenchFlags {
  modes?: Family[]
  threads: number[]
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
}

/** Seconds that a call without settings may take in all, and that a run takes beside its measured phases. */
const BUDGET = 100
const OVERHEAD = 2.2
/** Phases of a run, in measures of its `seconds`: warming up, idle, mail, mail with HTTP. */
const PHASES = 3.6
const SHORTEST = 0.4
/** The targets and the tables of src/bench/README.md are measured with this. */
const THOROUGH = 3

/** @throws ThreadpostError `INVALID_OPTIONS` */
export async function benchSettings(flags: BenchFlags): Promise<BenchSettings> {
  const { rounds = DEFAULT_ROUNDS, messages, rate, http, connections, batch, latency, redis } = flags
  const programs = await findPrograms(flags)
  const families = flags.modes ?? familiesHere(flags, programs)
  const modes = modesOf(
    families,
    flags.threads.filter((count) => count > 0),
  )
  if (modes.length === 0) throw refusal('--modes and --threads leave nothing to measure')
  const workload = await workloadOf(flags)
  return {
    modes,
    rounds,
    ...(flags.rounds === undefined && flags.seconds === undefined && flags.targets !== true
      ? { budget: BUDGET }
      : {}),
    seconds: flags.seconds ?? secondsFor(flags, modes.length),
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

/** What can be measured here: without a Redis the modes that need one are not tried. */
function familiesHere({ redis, server }: BenchFlags, programs: Programs): Family[] {
  const hasRedis = redis !== undefined || programs.redisServer !== undefined
  return FAMILIES.filter((family) => {
    if (family === 'redis' || family === 'bullmq') return hasRedis
    if (family === 'smtp-source') return programs.smtpSource !== undefined && server === undefined
    return true
  })
}

function secondsFor({ targets, messages }: BenchFlags, modes: number): number {
  if (targets === true || messages !== undefined) return THOROUGH
  const runs = modes * DEFAULT_ROUNDS
  return Math.max(SHORTEST, Math.min(THOROUGH, Number(((BUDGET / runs - OVERHEAD) / PHASES).toFixed(1))))
}

const DEFAULT_ROUNDS = 3

async function workloadOf(flags: BenchFlags): Promise<Workload | undefined> {
  const { template, templates, data } = flags
  if (template === undefined) {
    if (templates !== undefined || data !== undefined)
      throw refusal('--template: is required with --templates and --data')
    return undefined
  }
  return {
    title: `template ${template}`,
    templates: path.resolve(templates ?? 'templates'),
    template,
    data: await dataFrom(data ?? sampleOf(templates ?? 'templates', template)),
    recipients: 1,
    attachment: 0,
    from: SENDER,
  }
}

/** The sample data beside a template. */
function sampleOf(templates: string, template: string): string | undefined {
  const file = path.join(templates, `${template}.json`)
  return existsSync(file) ? file : undefined
}

/** Thousands of mails go to that server and to that mailbox: nobody does this by mistake. */
function serverOf({
  server,
  iOwnThisServer,
  to,
  from,
}: BenchFlags): Pick<BenchSettings, 'server' | 'addresses'> {
  if (server === undefined) return {}
  if (iOwnThisServer !== true)
    throw refusal(
      '--server: the benchmark sends thousands of mails there as fast as it can; add --i-own-this-server if it is yours',
    )
  if (to === undefined || from === undefined)
    throw refusal('--server: needs --to and --from, mailboxes of yours')
  if (!URL.canParse(server)) throw refusal('--server: must be a URL such as smtp://user:pass@host:587')
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

function refusal(message: string): ThreadpostError {
  return new ThreadpostError('INVALID_OPTIONS', message)
}

/** `0,1,2` */
export function countList(text: string): number[] {
  return text.split(',').map(wholeNumber(0))
}

/** `naive,memory` */
export function familyList(text: string): Family[] {
  return text.split(',').map((word) => {
    const family = FAMILIES.find((one) => one === word.trim())
    if (family === undefined)
      throw new InvalidArgumentError(`It must be a list of these: ${FAMILIES.join(', ')}.`)
    return family
  })
}

const UNITS = { s: 1, m: 60, h: 3600 }

/** `90s`, `20m`, `1h` in seconds; a bare number is seconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text.trim())
  if (match === null || Number(match[1]) === 0)
    throw new InvalidArgumentError('It must be a time such as 90s, 20m or 1h.')
  return Number(match[1]) * UNITS[(match[2] === '' ? 's' : match[2]) as keyof typeof UNITS]
}
