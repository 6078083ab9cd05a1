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
