import type { TransportConfig } from '../../src/wire.js'
import { FileFolder } from './fileFolder.js'
import { PluginSender } from './pluginSender.js'
import { SendgridSender } from './sendgrid.js'
import { SesSender } from './ses.js'
import { SmtpSender } from './smtp/sender.js'
import type { Transport } from './transport.js'

/** @param connections at most, or requests at a time where there are none */
export function createTransport(config: TransportConfig, connections: number): Transport {
  switch (config.kind) {
    case 'smtp':
      return new SmtpSender(config, connections)
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
