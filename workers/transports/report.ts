import type { UnreachableCode } from '../../src/wire/outcome.js'
import type { TransportReport } from '../../src/wire/transports.js'
import type { Delivered } from './transport.js'

/** What asking a service came to, as a report. */
export async function reportOf(
  place: { transport: string; host: string; port: number },
  ask: () => Promise<Delivered>,
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
