import type { Workload } from './order.js'

/** The recipients of mail number `mail`: as many as the workload says, none of them twice. */
export function recipientsOf({ recipients, to }: Workload, mail: number): string[] {
  if (to !== undefined) return [to]
  return Array.from({ length: recipients }, (_, index) => `user${mail}.${index}@bench.example`)
}

/** Bytes that don't compress and are the same in each run. */
export function attachmentOf({ attachment }: Workload): Buffer | undefined {
  if (attachment === 0) return undefined
  const bytes = Buffer.alloc(attachment)
  for (let index = 0, state = 1; index < attachment; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[index] = state >>> 16
  }
  return bytes
}
