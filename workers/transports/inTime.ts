/** How long `verify()` waits for a service's answer, in ms. */
export const VERIFY_LIMIT = 10_000

/** What a service comes to that knows no limit itself; rejects where there is no answer within that of `verify()`. */
export async function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), VERIFY_LIMIT)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
