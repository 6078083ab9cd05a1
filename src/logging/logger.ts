import { inspect } from 'node:util'
import { type Validator, kindOf } from '../validation.js'
import { shortenText } from './redaction.js'
import { cleanFields, hideSecrets } from './secrets.js'

/** The part of pino's interface that threadpost uses. `console` implements it, too. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** If present, threadpost logs to a child logger with `{ module: 'threadpost' }`. */
  child?(bindings: object): LoggerInput
  /** If present, threadpost doesn't build lines of a disabled level. */
  isLevelEnabled?(level: string): boolean
}

/** A logger as an application passes it. Without `warn` or `error`, those lines go to `info`; without `debug`, its lines are dropped. */
export type LoggerInput = Pick<Logger, 'info'> & Partial<Logger>

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type Level = (typeof LEVELS)[number]

/** The logger of a mailer without the option `logger`. Callers may compare with it to skip building a line. */
export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {}, isLevelEnabled: () => false }

/** @param redact whether addresses are shortened; secrets are always removed */
export function resolveLogger(check: Validator, value: unknown, redact = false): Logger {
  if (value === undefined) return SILENT
  if (typeof value !== 'object' || value === null)
    check.fail('logger', `must be a logger, got ${kindOf(value)}`)
  for (const level of LEVELS) {
    const method = (value as Record<string, unknown>)[level]
    if (typeof method !== 'function' && (level === 'info' || method !== undefined))
      check.fail(`logger.${level}`, 'must be a function (fields, message), as in console and pino')
  }
  const logger = value as LoggerInput
  const child = typeof logger.child === 'function' ? logger.child({ module: 'threadpost' }) : logger
  return guarded(child, redact ? (text) => shortenText(hideSecrets(text)) : hideSecrets)
}

/** Wraps a logger, so that an error that it throws can't affect a message, and no secret reaches it. */
function guarded(logger: LoggerInput, clean: (text: string) => string): Logger {
  const isLevelEnabled = (level: string): boolean => logger.isLevelEnabled?.(level) ?? true
  const guard =
    (level: Level) =>
    (fields: object, message: string): void => {
      try {
        if (!isLevelEnabled(level)) return
        // As a method, because a logger may need its `this`.
        if (logger[level] !== undefined) logger[level](cleanFields(fields, clean), clean(message))
        else if (level !== 'debug') logger.info(cleanFields(fields, clean), clean(message))
      } catch (error) {
        process.emitWarning(`threadpost's logger failed: ${hideSecrets(inspect(error))}`, 'ThreadpostWarning')
      }
    }
  return {
    debug: guard('debug'),
    info: guard('info'),
    warn: guard('warn'),
    error: guard('error'),
    isLevelEnabled,
  }
}
