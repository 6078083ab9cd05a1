/** The `load` function failed. `permanent`: another attempt won't help. */
export class LoadFailure extends Error {
  constructor(
    message: string,
    readonly permanent: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** The `load` function returned `skip`. */
export class Skip {
  constructor(readonly reason: string) {}
}
