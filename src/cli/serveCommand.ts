import { Command, Option } from 'commander'
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import { startServer } from '../server/server.js'
import { mailerOptions, type MailerSettings, parseInteger, parsePort, withMailerFlags } from './settings.js'
import { closeOnSignal, listenError, toned, withExamples } from './terminal.js'

interface ServeSettings extends MailerSettings {
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
      new Option('--token <token>', 'bearer token of the HTTP API; required beyond loopback').env(
        'THREADPOST_TOKEN',
      ),
    )
    .addOption(
      new Option(
        '--trust-proxy <n>',
        'number of proxies in front, whose X-Forwarded-For tells the clients apart',
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
    .option('--json', 'print a line of JSON at the start')
  return withExamples(withMailerFlags(command).action(serve), {
    'try it': 'threadpost serve',
    'run as a service':
      "THREADPOST_TOKEN=… threadpost serve --host 0.0.0.0 --transport smtps://… --from 'Acme <hello@acme.example>' --queue sqlite:./outbox.db",
  })
}

async function serve(settings: ServeSettings): Promise<void> {
  const mailer = await createMailer(await mailerOptions(settings))
  const { port, host, token, trustProxy, json = false } = settings
  let server
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
  printUrls(server.url, mailer, json)
  closeOnSignal(async () => {
    await server.close()
    await mailer.close({ deadline: 10_000 })
  })
}

function printUrls(url: string, { inbox }: Mailer, json: boolean): void {
  if (json) {
    const { url: smtp } = inbox ?? {}
    console.log(JSON.stringify({ event: 'listening', url, ...(smtp === undefined ? {} : { smtp }) }))
    return
  }
  console.log(`threadpost is running at ${toned('strong', url)}`)
  if (inbox !== undefined) {
    console.log(`  inbox       ${url}/inbox   (no transport is set, so mail stays here)`)
    console.log(`  SMTP        ${inbox.url}`)
  }
  console.log(`  dashboard   ${url}/mail/`)
  console.log(`  HTTP API    ${url}/mail/openapi.json`)
  console.log('Press Ctrl-C to stop after finishing work in progress.')
}
