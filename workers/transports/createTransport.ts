import type { TransportConfig } from '../../src/wire/transports.js'
import { FileFolder } from './fileFolder.js'
import { PluginSender } from './pluginSender.js'
import { SendgridSender } from './sendgrid.js'
import { SesSender } from './ses.js'
import { SmtpSender } from './smtp/sender.js'
import type { Transport } from './transport.js'

/**
 * @param connections at most, or requests at a time where there are none
 * @param changed is told of each SMTP connection that is open, and that is no more
 */
export function createTransport(
  config: TransportConfig,
  connections: number,
  changed: (change: 1 | -1) => void,
): Transport {
  switch (config.kind) {
    case 'smtp':
      return new SmtpSender(config, connections, changed)
    case 'file':
      return new FileFolder(config, connections)
    case 'sendgrid':
      return new SendgridSender(config, connections)
    case 'ses':
      return new SesSender(config, connections)
    case 'plugin':
      return new PluginSender(config, connections)
  }
}
