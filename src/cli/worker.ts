import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Command, Option } from 'commander'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import { metricsRegistry } from '../express/index.js'
import type { Mailer } from '../mailer.js'
import { closeOnSignal } from '../shutdown.js'
import { wholeNumber } from './arguments.js'
import { lineLogger } from './lineLogger.js'
import { type MailerSettings, mailerOptions, withMailerFlags } from './settings.js'

interface WorkerSettings extends MailerSettings {
  port?: number
  host: string
  drain: number
  prefix?: string
}

/** `threadpost worker`: a process that delivers what others put into the queue. */
export function workerCommand(): Command {
  const command = new Command('worker')
    .description('Deliver the mail of a shared queue (redis: or sqlite:) that other processes put there.')
    .addOption(
      new Option('--port <port>', 'port for /healthz, /readyz and /metrics (default: none)')
        .argParser(wholeNumber(0))
        .env('PORT'),
    )
    .addOption(new Option('--host <host>', 'address to bind that port to').default('127.0.0.1').env('HOST'))
    .addOption(
      new Option('--drain <seconds>', 'time for deliveries under way to end after SIGTERM')
        .argParser(wholeNumber(0))
        .default(30),
    )
    .addOption(
      new Option('--prefix <name>', "what the queue's keys in Redis begin with (default: threadpost)").env(
        'THREADPOST_PREFIX',
      ),
    )
  return withMailerFlags(command).action(work)
}

async function work(settings: WorkerSettings): Promise<void> {
  const { port, host, drain } = settings
  if (settings.transport === undefined || settings.transport === '')
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      'transport: is required: --transport smtp://user:pass@host:587',
      {
        path: 'transport',
      },
    )
  const options = await mailerOptions(settings)
  const { prefix } = settings
  if (prefix !== undefined && typeof options.queue === 'string')
    options.queue = { url: options.queue, prefix }
  const mailer = await createMailer({ ...options, role: 'deliver', logger: lineLogger })
  let server: Server | undefined
  try {
    if (port !== undefined) server = await listen(mailer, port, host)
  } catch (error) {
    await mailer.close({ deadline: 0 })
    throw error
  }
  console.log(`threadpost worker ${process.pid} delivers`)
  if (server !== undefined) {
    const { port: taken } = server.address() as AddressInfo
    console.log(`  health      http://${host}:${taken}/healthz`)
  }
  closeOnSignal(async () => {
    server?.close()
    await mailer.close({ deadline: drain * 1_000 })
    server?.closeAllConnections()
  })
}

/** Ready is who can reach the queue. */
async function listen(mailer: Mailer, port: number, host: string): Promise<Server> {
  const metrics = await metricsRegistry(mailer)
  const server = createServer((request, response) => {
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
      response.end(JSON.stringify(body))
    }
    if (request.url === '/healthz') answer(200, { status: 'ok' })
    else if (request.url === '/readyz')
      mailer.stats().then(
        () => answer(200, { status: 'ready' }),
        (error: unknown) => answer(503, { status: 'not ready', detail: (error as Error).message }),
      )
    else if (request.url === '/metrics')
      void metrics.metrics().then((text) => {
        response.writeHead(200, { 'Content-Type': metrics.contentType })
        response.end(text)
      })
    else answer(404, { status: 'not found' })
  })
  server.listen(port, host)
  await once(server, 'listening')
  return server
}
