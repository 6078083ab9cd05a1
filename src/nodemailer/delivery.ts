import type { PluginFunction } from 'nodemailer'
import type { Mail } from '../index.js'
import type { SentMessageInfo } from './sentMessageInfo.js'

/** A message that is ready for delivery. */
export interface PreparedMessage {
  /** The message in nodemailer's form, with defaults, after plugins, and with all content read. */
  input: Readonly<Record<string, unknown>>
  /** The same message in threadpost's form. */
  mail: Mail
  /** Value of the Date header, in ISO 8601 format. */
  date?: string
  signal: AbortSignal | undefined
  /** Set if nodemailer's composer builds the message, which is then sent as a finished one. */
  build?: BuildRequest
}

/** Why nodemailer's composer builds a message, and what works on it. */
export interface BuildRequest {
  /** The field that only the composer can build, or `use('stream')`. */
  reason: string
  /** Plugins of the step `stream`. */
  plugins: readonly Plugin[]
}

/** A plugin of nodemailer: changes the message, then calls back. */
export type Plugin = PluginFunction

/** Where a transporter's messages go: to the worker threads, or back to the caller. */
export interface Delivery {
  /** Largest message in bytes; sources are read up to it. */
  readonly maxMessageSize: number
  /**
   * Whether it can take another message at once.
   * @param preparing messages that are about to be sent
   */
  isIdle(preparing: number): boolean
  send(message: PreparedMessage): Promise<SentMessageInfo>
  /** @throws SendMailError with nodemailer's code */
  verify(): Promise<true>
  /** Waits for the messages in progress. */
  close(): Promise<void>
}
