import { createServer, type Server } from 'node:http'
import { Command, Option } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import { listen } from '../web/listen.js'
import { parseDuration } from './durations.js'
import {
  archiveFlag,
  mailerOptions,
  type MailerSettings,
  parsePort,
  requireTransport,
  withMailerFlags,
} from './settings.js'
import { closeOnSignal, lineLogger, listenError, withExamples } from './terminal.js'
import { webhookOption, type WebhookSettings, withWebhookFlags } from './webhookFlags.js'

interface WorkerSettings extends MailerSettings, WebhookSettings {
  port?: number
  host: string
  drain: number
  json?: boolean
}

/** `threadpost worker`: delivers the mail that other processes enqueue. */
export function workerCommand(): Command {
  const command = new Command('worker')
    .summary('deliver mail from a shared queue')
    .description(
      'Deliver the mail that other processes put into a shared queue (redis:, postgres: or sqlite:). You can run any number of workers; ' +
        'with sqlite:, one delivers, and another takes over if it dies. On SIGTERM, the worker finishes work in progress.',
    )
    .addOption(
      new Option('--port <port>', 'port for /healthz, /readyz and /metrics (default: none)')
        .argParser(parsePort)
        .env('PORT'),
    )
    .addOption(new Option('--host <host>', 'address to bind that port to').default('127.0.0.1').env('HOST'))
    .addOption(
      new Option('--drain <time>', 'time to finish deliveries in progress after SIGTERM, such as 30s')
        .argParser(parseDuration)
        .default(30_000, '30s'),
    )
    .addOption(archiveFlag())
    .option('--json', 'print a line of JSON at the start')
  return withExamples(withMailerFlags(withWebhookFlags(command)).action(work), {
    'run on each of many machines':
      'threadpost worker --transport smtps://… --queue redis://redis:6379 --templates ./templates --port 9000',
    'run next to a web process with role: send':
      'threadpost worker --transport smtps://… --queue sqlite:./outbox.db',
  })
}

async function work(settings: WorkerSettings): Promise<void> {
  const { port, host, drain } = settings
  requireTransport(settings)
  const options = { ...(await mailerOptions(settings)), ...(await webhookOption(settings)) }
  const mailer = await createMailer({ ...options, role: 'deliver', logger: lineLogger })
  let server: Server | undefined
  let health: string | undefined
  if (port !== undefined)
    try {
      server = await healthServer(mailer)
      health = `${await listen(server, port, host)}/healthz`
    } catch (error) {
      await mailer.close({ deadline: 0 })
      throw listenError(error, '--port', port, host)
    }
  if (settings.json === true) console.log(JSON.stringify({ event: 'delivering', pid: process.pid, health }))
  else {
    console.log(`threadpost worker ${process.pid} is delivering mail`)
    if (health !== undefined) console.log(`  health      ${health}`)
  }
  closeOnSignal(async () => {
    server?.close()
    await mailer.close({ deadline: drain })
    server?.closeAllConnections()
  })
}

/** Creates the server for health checks and metrics. The worker is ready if it can reach the queue. */
async function healthServer(mailer: Mailer): Promise<Server> {
  const { metricsRegistry } = await import('../express/index.js')
  const metrics = await metricsRegistry(mailer)
  return createServer((request, response) => {
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
}
