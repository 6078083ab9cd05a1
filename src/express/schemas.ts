import type { Status } from '../index.js'

export const STATUS_NAMES = [
  'queued',
  'sending',
  'deferred',
  'held',
  'sent',
  'partial',
  'failed',
  'expired',
  'cancelled',
] as const satisfies readonly Status[]
