import { ThreadpostError } from '../errors.js'

/** Ends the process in order at the first signal, at once at the second. The library itself installs no handler. */
export function closeOnSignal(close: () => Promise<void>): void {
  let closing = false
  const onSignal = (signal: NodeJS.Signals): void => {
    if (closing) process.exit(1)
    closing = true
    console.error(`${signal}: finishing what is under way; once more ends at once.`)
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** What a user can mend where a port can't be had; any other error as it is. */
export function listenProblem(error: unknown, flag: string, port: number, host: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const why =
    code === 'EADDRINUSE'
      ? 'is in use; take another'
      : code === 'EACCES'
        ? 'may not be used by this user; take one above 1023'
        : undefined
  if (why === undefined) return error
  return new ThreadpostError('INVALID_OPTIONS', `${flag}: ${port} on ${host} ${why}`, {
    path: flag,
    cause: error,
  })
}
