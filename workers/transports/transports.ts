import type { TransportConfig, TransportReport } from '../../src/wire.js'
import type { Composed } from '../compose/compose.js'
import { DkimSigner } from './dkimSigner.js'
import { SmtpSender } from './smtp/sender.js'
import { verifySmtp } from './smtp/verify.js'
import type { Transport } from './transport.js'

interface Entry {
  config: TransportConfig
  sender: SmtpSender
  dkim: DkimSigner | undefined
}

/** The transports of one thread, by name. */
export class Transports {
  readonly #connections: number
  readonly #threads: number
  readonly #entries = new Map<string, Entry>()

  /** @param connections of this thread at most; @param threads that share what a transport may have in all */
  constructor(configs: readonly TransportConfig[], connections: number, threads: number) {
    this.#connections = connections
    this.#threads = threads
    this.reload(configs)
  }

  get(name: string): Transport | undefined {
    return this.#entries.get(name)?.sender
  }

  /** The message as it goes out over this transport: signed, if it has keys. */
  async sign(name: string, message: Composed): Promise<Composed> {
    const dkim = this.#entries.get(name)?.dkim
    return dkim === undefined ? message : { bytes: await dkim.sign(message.bytes), transparent: false }
  }

  /** Connects, secures and authenticates as for a message, and says goodbye. */
  async verify(name: string): Promise<TransportReport> {
    const config = this.#entries.get(name)?.config
    if (config === undefined) throw new Error(`there is no transport ${name}`)
    return verifySmtp(config)
  }

  /**
   * Takes other settings. What was begun ends on its old connection, what waits goes by the new ones; a transport
   * whose settings are the same keeps its connections.
   */
  reload(configs: readonly TransportConfig[]): void {
    for (const config of configs) {
      const old = this.#entries.get(config.name)
      if (old !== undefined && JSON.stringify(old.config) === JSON.stringify(config)) continue
      const sender = new SmtpSender(config, this.#share(config))
      const dkim = config.dkim === undefined ? undefined : new DkimSigner(config.dkim)
      this.#entries.set(config.name, { config, sender, dkim })
      old?.sender.retire(sender)
    }
  }

  #share({ connections = Infinity }: TransportConfig): number {
    return Math.min(this.#connections, Math.max(1, Math.floor(connections / this.#threads)))
  }

  async quit(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ sender }) => sender.quit()))
  }
}
