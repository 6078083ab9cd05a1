import { inspect } from 'node:util'
import { type Checker, kindOf } from './check.js'

/** The part of pino's interface that threadpost uses. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} }

export function resolveLogger(check: Checker, value: unknown): Logger {
  if (value === undefined) return SILENT
  if (typeof value !== 'object' || value === null)
    check.fail('logger', `must be a logger, got ${kindOf(value)}`)
  for (const level of LEVELS) {
    if (typeof (value as Record<string, unknown>)[level] !== 'function')
      check.fail(`logger.${level}`, 'must be a function (fields, message)')
  }
  return guarded(value as Logger)
}

/** A logger that throws must not take a message along. */
function guarded(logger: Logger): Logger {
  const guard =
    (level: (typeof LEVELS)[number]) =>
    (fields: object, message: string): void => {
      try {
        logger[level](fields, message)
      } catch (error) {
        process.emitWarning(`threadpost's logger failed: ${inspect(error)}`, 'ThreadpostWarning')
      }
    }
  return { debug: guard('debug'), info: guard('info'), warn: guard('warn'), error: guard('error') }
}
