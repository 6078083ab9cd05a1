import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import type { Validator } from '../validation.js'
import type { ResolvedTransport } from './transportOptions.js'

/** Refuses to start with the embedded inbox in production, unless the option `allowInboxInProduction` allows it. */
export function refuseInboxInProduction(
  check: Validator,
  transports: readonly ResolvedTransport[],
  allowed: unknown,
): void {
  const inbox = transports.find(({ config }) => config.kind === 'inbox')
  if (check.boolean(allowed, 'allowInboxInProduction') || inbox === undefined) return
  // eslint-disable-next-line no-restricted-properties -- the one documented exception: mail must not vanish because a setting is missing
  if (process.env['NODE_ENV'] !== 'production') return
  check.fail(
    inbox.name === DEFAULT_TRANSPORT ? 'transport' : `transports.${inbox.name}`,
    "is 'inbox:', which delivers mail to nobody, and NODE_ENV is 'production'; set the URL of a mail server, or allowInboxInProduction",
  )
}
