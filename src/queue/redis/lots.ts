/** When a message is to be looked at. */
export interface Wake {
  id: string
  /** Name of the template, or what else it is: shown by tools for BullMQ. */
  name: string
  /** 0 to 9, higher first. */
  priority: number
  /** Milliseconds since the epoch. */
  due: number
}

/** What one job of BullMQ's wakes up: a message, or some that were accepted together. */
export interface Lot extends Omit<Wake, 'id'> {
  ids: string[]
}

/** What a job costs is shared by so many messages at most: enough, and few enough that no other process wants for work. */
const MOST = 20

/**
 * What is due now goes together, by priority and in the order of acceptance. What has a time of its own has a job of
 * its own.
 */
export function lotsOf(wakes: readonly Wake[], now: number): Lot[] {
  const lots: Lot[] = []
  const open = new Map<number, Lot>()
  for (const { id, ...wake } of wakes) {
    const isDue = wake.due <= now
    const lot = isDue ? open.get(wake.priority) : undefined
    if (lot !== undefined && lot.ids.length < MOST) lot.ids.push(id)
    else {
      const fresh = { ...wake, ids: [id] }
      lots.push(fresh)
      if (isDue) open.set(wake.priority, fresh)
    }
  }
  return lots
}

/** What a lot's job is called: as its message, where it has only one. */
export function jobIdOf({ ids }: Pick<Lot, 'ids'>): string {
  const [first = ''] = ids
  return ids.length === 1 ? first : `lot-${first}`
}
