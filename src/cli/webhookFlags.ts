import { type Command, Option } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { MailerOptions } from '../options.js'
import type { WebhookEvent } from '../webhooks/webhookOptions.js'
import { nameOf, readJson } from './settings.js'

/** Settings of the endpoints that receive the mailer's events. Empty ones are ignored. */
export interface WebhookSettings {
  webhookUrl?: string
  webhookSecret?: string
  webhookEvents?: string
  webhooks?: string
}

export function withWebhookFlags(command: Command): Command {
  return command
    .addOption(
      new Option('--webhook-url <url>', 'endpoint that receives the events (default: none)').env(
        'THREADPOST_WEBHOOK_URL',
      ),
    )
    .addOption(
      new Option(
        '--webhook-secret <secret>',
        'its secret, whsec_…; prefer the variable, because other users can see arguments',
      ).env('THREADPOST_WEBHOOK_SECRET'),
    )
    .addOption(
      new Option('--webhook-events <names>', 'events to send, such as sent,bounced (default: all)').env(
        'THREADPOST_WEBHOOK_EVENTS',
      ),
    )
    .addOption(
      new Option(
        '--webhooks <file>',
        'JSON file with several endpoints: [{ "url", "secret", "events" }]',
      ).env('THREADPOST_WEBHOOKS'),
    )
}

/** Returns the option `webhooks` of `createMailer()`, which validates it. */
export async function webhookOption(settings: WebhookSettings): Promise<Pick<MailerOptions, 'webhooks'>> {
  const {
    webhookUrl: url = '',
    webhookSecret: secret = '',
    webhookEvents: events = '',
    webhooks = '',
  } = settings
  if (url === '' && (secret !== '' || events !== ''))
    throw new ThreadpostError('INVALID_OPTIONS', '--webhook-url: is required with a secret or events', {
      path: 'webhook-url',
    })
  const list: unknown = webhooks === '' ? [] : await readJson('--webhooks', webhooks)
  if (!Array.isArray(list))
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `--webhooks: ${nameOf(webhooks) ?? 'its value'} must contain a list`,
      {
        path: 'webhooks',
      },
    )
  const endpoints = list as NonNullable<MailerOptions['webhooks']>
  if (url !== '')
    endpoints.push({
      url,
      secret,
      ...(events === '' ? {} : { events: events.split(',').map((name) => name.trim() as WebhookEvent) }),
    })
  return endpoints.length === 0 ? {} : { webhooks: endpoints }
}
