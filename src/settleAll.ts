/**
 * Runs all steps in order, each after the one before it has settled, whether or not that failed.
 * Rejects after the last step: with the error itself if one step failed, so that its code stays readable,
 * and otherwise with an `AggregateError` that holds every error and quotes their messages.
 */
export async function settleAll(steps: readonly (() => unknown)[]): Promise<void> {
  const errors: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length === 1) throw errors[0]
  if (errors.length > 1) throw new AggregateError(errors, errors.map(messageOf).join('; '))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
