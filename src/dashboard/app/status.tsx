import type { Status } from '../../index.js'
import type { Action } from '../viewModels.js'

/**
 * Lists every member of a union in the order given. The app imports only types from the server, so the compiler checks
 * the list instead: a missing or an unknown member doesn't compile.
 */
function allOf<Member extends string>(members: Record<Member, true>): readonly Member[] {
  return Object.keys(members) as Member[]
}

export const STATUSES = allOf<Status>({
  queued: true,
  sending: true,
  deferred: true,
  held: true,
  sent: true,
  partial: true,
  failed: true,
  expired: true,
  cancelled: true,
})

interface ActionLabels {
  name: string
  /** @param messages such as `3 messages` */
  verb: (messages: string) => string
  /** @param messages such as `3 messages` */
  done: (messages: string) => string
  /** The statuses that allow the action. */
  for: ReadonlySet<Status>
}

/** The actions that a person can apply to a message. */
export const ACTIONS: Record<Action, ActionLabels> = {
  retry: {
    name: 'Retry',
    verb: (messages) => `Retry ${messages}`,
    done: (messages) => `Requeued ${messages}.`,
    for: new Set<Status>(['failed', 'partial', 'expired', 'cancelled', 'held', 'deferred']),
  },
  cancel: {
    name: 'Cancel',
    verb: (messages) => `Cancel ${messages}`,
    done: (messages) => `Cancelled ${messages}.`,
    for: new Set<Status>(['queued', 'sending', 'deferred', 'held']),
  },
  'mark-sent': {
    name: 'Mark as sent',
    verb: (messages) => `Mark ${messages} as sent`,
    done: (messages) => `Marked ${messages} as sent.`,
    for: new Set<Status>(['held', 'deferred']),
  },
  'send-again': {
    name: 'Send again',
    verb: (messages) => `Send ${messages} again`,
    done: (messages) => `Sent ${messages} again, as new messages.`,
    for: new Set<Status>(['sent', 'partial', 'failed', 'expired', 'cancelled']),
  },
}

export const ACTION_NAMES = Object.keys(ACTIONS) as Action[]

export function Badge({ status, uncertain = false }: { status: string; uncertain?: boolean }) {
  return (
    <span class={`badge ${status}`}>
      {status}
      {uncertain && <abbr title="The message may have been sent, although no reply arrived"> ?</abbr>}
    </span>
  )
}
