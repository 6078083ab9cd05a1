import type { Status } from '../../index.js'

export const STATUSES = [
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

/** What a person may do about a message that stands so. */
export const ACTIONS = {
  retry: {
    name: 'Retry',
    done: 'put back in line',
    for: new Set<Status>(['failed', 'partial', 'expired', 'cancelled', 'held', 'deferred']),
  },
  cancel: {
    name: 'Cancel',
    done: 'cancelled',
    for: new Set<Status>(['queued', 'sending', 'deferred', 'held']),
  },
  'mark-sent': { name: 'Mark as sent', done: 'marked as sent', for: new Set<Status>(['held', 'deferred']) },
} as const

export type Action = keyof typeof ACTIONS
export const ACTION_NAMES = Object.keys(ACTIONS) as Action[]

export function Badge({ status, uncertain = false }: { status: string; uncertain?: boolean }) {
  return (
    <span class={`badge ${status}`}>
      {status}
      {uncertain && <abbr title="It may have been sent although no reply came"> ?</abbr>}
    </span>
  )
}
