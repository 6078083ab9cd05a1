import type { UnreachableCode } from '../../src/protocol/outcome.js'
import type { TransportReport } from '../../src/protocol/transportConfig.js'
import type { SendResult } from './transport.js'

/** What asking a service came to, as a report. */
export async function reportOf(
  place: { transport: string; host: string; port: number },
  ask: () => Promise<SendResult>,
): Promise<TransportReport> {
  const start = performance.now()
  const { verdict, message, reply } = await ask()
  const facts = { ...place, ms: Math.round(performance.now() - start) }
  if (verdict.result === 'sent')
    return { ...facts, ok: true, authenticated: true, extensions: [], pipelining: false, maxSize: 0 }
  return {
    ...facts,
    ok: false,
    code: isUnreachable(verdict.code) ? verdict.code : 'CONNECTION_FAILED',
    message: verdict.result === 'uncertain' ? 'The service gave no answer' : message,
    ...(reply === undefined ? {} : { reply }),
  }
}

function isUnreachable(code: string): code is UnreachableCode {
  return code === 'CONNECTION_FAILED' || code === 'AUTH_FAILED' || code === 'TLS_FAILED'
}

/** How long `verify()` waits for a service's answer, in ms. */
export const VERIFY_LIMIT = 10_000

/** What a service comes to that knows no limit itself; rejects where there is no answer within that of `verify()`. */
export async function withTimeout(work: Promise<void>): Promise<void> {
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

/** A package that is only needed here: where it is absent, the error says what to install. */
export async function loaded<T>(module: Promise<T>, name: string, why: string): Promise<T> {
  try {
    return await module
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
      throw new Error(`${why} ${name}, which is not installed: npm install ${name}`, { cause: error })
    throw new Error(`${name} can't be loaded: ${message}`, { cause: error })
  }
}
