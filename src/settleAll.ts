/** Takes all steps, each whatever became of those before; then rejects with what the first that failed threw. */
export async function settleAll(steps: readonly (() => unknown)[]): Promise<void> {
  const problems: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      problems.push(error)
    }
  }
  if (problems.length > 0) throw problems[0]
}
