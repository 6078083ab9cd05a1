import { Command, Option } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import {
  type Intake,
  type IntakeSettings,
  readSmtpFiles,
  startIntakes,
  withIntakeFlags,
} from './intakeFlags.js'
import {
  archiveFlag,
  mailerOptions,
  type MailerSettings,
  parseInteger,
  parsePort,
  withMailerFlags,
} from './settings.js'
import { closeOnSignal, listenError, toned, withExamples } from './terminal.js'
import { webhookOption, type WebhookSettings, withWebhookFlags } from './webhookFlags.js'

interface ServeSettings extends MailerSettings, IntakeSettings, WebhookSettings {
  port: number
  host: string
  token?: string
  trustProxy: number
  json?: boolean
}

export function serveCommand(): Command {
  const command = new Command('serve')
    .summary('run the mail service with HTTP API, dashboard, and inbox')
    .description(
      'Run the mail service: a start page, and the HTTP API and dashboard under /mail. Without a transport, mail goes to the ' +
        'embedded inbox at /inbox, and nothing leaves this machine. On SIGTERM, the service finishes work in progress.',
    )
    .addOption(
      new Option('--port <port>', 'port to listen on').argParser(parsePort).default(3000).env('PORT'),
    )
    .addOption(new Option('--host <host>', 'address to bind to').default('127.0.0.1').env('HOST'))
    .addOption(
      new Option(
        '--token <token>',
        'bearer token of the HTTP API, of at least 16 characters; required beyond loopback',
      ).env('THREADPOST_TOKEN'),
    )
    .addOption(
      new Option(
        '--trust-proxy <n>',
        'number of proxies in front, whose X-Forwarded-For identifies the clients',
      )
        .argParser(parseInteger(0))
        .default(0)
        .env('THREADPOST_TRUST_PROXY'),
    )
    .addOption(
      new Option(
        '--allow-inbox-in-production',
        'start without a transport even if NODE_ENV is production; mail then reaches nobody',
      ),
    )
    .addOption(archiveFlag())
    .option('--json', 'print a line of JSON at the start')
  return withExamples(withMailerFlags(withIntakeFlags(withWebhookFlags(command))).action(serve), {
    'try it': 'threadpost serve',
    'run as a service':
      "THREADPOST_TOKEN=… threadpost serve --host 0.0.0.0 --transport smtps://… --from 'Acme <hello@acme.example>' --queue sqlite:./outbox.db",
    'accept mail from every program on this machine, and relay it':
      'threadpost serve --smtp-port 2525 --queue sqlite:./outbox.db --transport smtps://…',
  })
}

async function serve(settings: ServeSettings): Promise<void> {
  const smtpFiles = await readSmtpFiles(settings)
  const mailer = await createMailer({
    ...(await mailerOptions(settings)),
    ...(await webhookOption(settings)),
  })
  const { port, host, token, trustProxy, json = false } = settings
  const { startServer } = await import('../server/server.js')
  let server
  let intakes: Intake[]
  try {
    server = await startServer({
      mailer,
      port,
      host,
      trustProxy,
      ...(token === undefined || token === '' ? {} : { token }),
    })
  } catch (error) {
    await mailer.close({ deadline: 0 })
    throw listenError(error, '--port', port, host)
  }
  try {
    intakes = await startIntakes(mailer, settings, smtpFiles)
  } catch (error) {
    await server.close()
    await mailer.close({ deadline: 0 })
    throw error
  }
  printUrls(server.url, intakes, mailer, json)
  closeOnSignal(async () => {
    await Promise.all([server.close(), ...intakes.map((intake) => intake.close())])
    await mailer.close({ deadline: 10_000 })
  })
}

function printUrls(url: string, intakes: readonly Intake[], { inbox }: Mailer, json: boolean): void {
  if (json) {
    const { url: smtp } = inbox ?? {}
    const ways = intakes.length === 0 ? {} : { intakes: intakes.map(({ name, url }) => ({ name, url })) }
    console.log(JSON.stringify({ event: 'listening', url, ...(smtp === undefined ? {} : { smtp }), ...ways }))
    return
  }
  console.log(`threadpost is running at ${toned('strong', url)}`)
  if (inbox !== undefined) {
    console.log(`  inbox       ${url}/inbox   (no transport is set, so mail stays here)`)
    console.log(`  SMTP        ${inbox.url}`)
  }
  console.log(`  dashboard   ${url}/mail/`)
  console.log(`  HTTP API    ${url}/mail/openapi.json`)
  for (const intake of intakes) console.log(`  ${intake.name.padEnd(11)} ${intake.url}`)
  console.log('Press Ctrl-C to stop after finishing work in progress.')
}
