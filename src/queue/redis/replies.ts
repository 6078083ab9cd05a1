import type { MailJob, Status } from '../../message/messageState.js'
import { unpackClaimed } from '../rowCodec.js'
import { type AttachmentBytes, STATUS_NAMES, STATUS_NUMBERS, type StoredRow } from '../storedRow.js'

/** What Redis answers: as RESP2 has it. */
export type Reply = string | number | null | Reply[]
export type Fields = (string | null)[]

/** What is to be done with a job that BullMQ handed out. */
export type Beginning =
  | { do: 'go'; row: StoredRow; job: MailJob }
  | { do: 'wait'; until: number }
  | { do: 'later' }
  | { do: 'paused' }
  | { do: 'drop' }
  | { do: 'expired'; row: StoredRow }
  | { do: 'lost'; row: StoredRow }

/** What the script `begin` said of a message. */
export function beginningOf([what, told]: [Beginning['do'], Fields | string]): Beginning {
  switch (what) {
    case 'go': {
      const row = rowOf(told as Fields)
      const [content, files] = (told as Fields).slice(ROW)
      return {
        do: what,
        row,
        job: unpackClaimed({ ...row, content: content ?? '{}', attachments: filesOf(files) }),
      }
    }
    case 'wait':
      return { do: what, until: Number(told) }
    case 'expired':
    case 'lost':
      return { do: what, row: rowOf(told as Fields) }
    default:
      return { do: what }
  }
}

/** Fields of a message that every script reads, in their order. */
const ROW = 10

/** A message as every script reads it. */
export function rowOf([seq, rev, losses, status, due, exp, next, settled, rest, head]: Fields): StoredRow {
  return {
    seq: Number(seq),
    rev: Number(rev),
    losses: Number(losses ?? 0),
    status: STATUS_NUMBERS[(status ?? STATUS_NAMES[0]) as Status],
    dueAt: Number(due),
    expiresAt: Number(exp),
    nextAttemptAt: numberOrNull(next),
    settledAt: numberOrNull(settled),
    rest: rest ?? null,
    head: head ?? '{}',
  }
}

function numberOrNull(text: string | null | undefined): number | null {
  return text === null || text === undefined || text === '' ? null : Number(text)
}

/** Bytes are base64 in Redis, since it is asked for text. */
export function packFile({ content }: AttachmentBytes): [kind: 's' | 'b', text: string] {
  return typeof content === 'string' ? ['s', content] : ['b', Buffer.from(content).toString('base64')]
}

export function filesOf(files: string | null | undefined): AttachmentBytes[] {
  if (files === null || files === undefined || files === '') return []
  return (JSON.parse(files) as ['s' | 'b', string][]).map(([kind, text]) => ({
    content: kind === 's' ? text : new Uint8Array(Buffer.from(text, 'base64')),
  }))
}
