/** The parts of nodemailer that run in the calling thread. They are loaded when a message needs them. */
import type { Delivery, Plugin, PreparedMessage } from './delivery.js'
import { unsupported } from './fields.js'
import type { SentMessageInfo } from './sentMessageInfo.js'

/** Bytes of a message that is returned to the caller. */
const MAX_LOCAL_SIZE = 25 * 1024 * 1024

/**
 * Runs plugins of the step `compile` on a message.
 * @returns the message as the plugins left it
 */
export async function runCompilePlugins(
  plugins: readonly Plugin[],
  message: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const { default: MailMessage } = await import('nodemailer/lib/mailer/mail-message')
  const mail = new MailMessage({ options: {}, _defaults: {} } as never, { ...message })
  for (const plugin of plugins)
    await new Promise<void>((resolve, reject) => {
      plugin(mail, (error) => (error === undefined || error === null ? resolve() : reject(error)))
    })
  return { ...mail.data }
}

/** Returns messages to the caller, as nodemailer's `jsonTransport` and `streamTransport` do. Nothing is queued or sent. */
export class LocalDelivery implements Delivery {
  readonly maxMessageSize = MAX_LOCAL_SIZE
  readonly #options: Record<string, unknown>

  /** @param options nodemailer's, with `jsonTransport` or `streamTransport` */
  constructor(options: Record<string, unknown>) {
    this.#options = options
  }

  async send({ input, build }: PreparedMessage): Promise<SentMessageInfo> {
    for (const field of ['template', 'mjml'])
      if (input[field] !== undefined)
        unsupported(field, 'jsonTransport and streamTransport build the message without the worker threads.')
    const { default: nodemailer } = await import('nodemailer')
    const transporter = nodemailer.createTransport(this.#options)
    for (const plugin of build?.plugins ?? []) transporter.use('stream', plugin)
    const info: object = await transporter.sendMail({ ...input })
    return info as SentMessageInfo
  }

  isIdle(): boolean {
    return true
  }

  verify(): Promise<true> {
    return Promise.resolve(true)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
