import { ThreadpostError } from '../errors.js'

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
