import type { Logger } from '../observe/logger.js'

/** What a person who runs a process should know, a line each on standard error; not each message. */
export const lineLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => console.error(`warning: ${message} ${JSON.stringify(fields)}`),
  error: (fields, message) => console.error(`error: ${message} ${JSON.stringify(fields)}`),
}
