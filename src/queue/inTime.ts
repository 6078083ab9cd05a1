/** Resolves with the work, or when `ms` are over. What the work fails with is nobody's concern any more. */
export async function inTime(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms))
  })
  await Promise.race([work.catch(() => undefined), over])
  clearTimeout(timer)
}
