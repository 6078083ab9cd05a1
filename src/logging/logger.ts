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
  child?(bindings: object): Logger
  /** If present, threadpost doesn't build lines of a disabled level. */
  isLevelEnabled?(level: string): boolean
}

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
    if (typeof (value as Record<string, unknown>)[level] !== 'function')
      check.fail(`logger.${level}`, 'must be a function (fields, message), as in console and pino')
  }
  const logger = value as Logger
  const child = typeof logger.child === 'function' ? logger.child({ module: 'threadpost' }) : logger
  return guarded(child, redact ? (text) => shortenText(hideSecrets(text)) : hideSecrets)
}

/** Wraps a logger, so that an error that it throws can't affect a message, and no secret reaches it. */
function guarded(logger: Logger, clean: (text: string) => string): Logger {
  const isLevelEnabled = (level: string): boolean => logger.isLevelEnabled?.(level) ?? true
  const guard =
    (level: Level) =>
    (fields: object, message: string): void => {
      try {
        if (isLevelEnabled(level)) logger[level](cleanFields(fields, clean), clean(message))
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
