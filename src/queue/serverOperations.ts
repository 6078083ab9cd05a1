import type { Allowances } from '../transports/rateLimiter.js'
import { DistributedRateLimiter, type RequestPermits } from './distributedRateLimiter.js'
import type { DriverOptions, QueueDriver } from './driver.js'
import type { ChangeResult, RecordChange, RecordRange, SharedRecord, SharedRecords } from './records.js'
import { type Mutation, StoredMutations, type Withdrawal } from './storedMutations.js'
import { type Guard, type MessageReader, storedQueries } from './storedQueries.js'

/** The operations that do the same in every driver on a server, whatever the server is. */
export interface ServerOperations extends Pick<
  QueueDriver,
  'durable' | 'search' | 'records' | 'find' | 'load' | 'list' | 'stats' | 'act' | 'change'
> {
  /** The rate limits of transports, for all processes on the queue together. */
  readonly allowances: Allowances
}

/** The part of a server's store that {@link serverOperations} needs. Each method rejects while the server can't be reached. */
interface ServerStore extends MessageReader {
  writeRecords(changes: readonly RecordChange[]): Promise<void>
  readRecords(ranges: readonly RecordRange[]): Promise<SharedRecord[][]>
  requestPermits: RequestPermits
  /** A name that no operation had before. */
  nextOperation(): string
}

interface ServerOperationsOptions extends Pick<
  DriverOptions,
  'onChange' | 'recordsOf' | 'retain' | 'maxAge' | 'encryption'
> {
  guard: Guard
  /** Stores the change, unless another one came first. */
  write: (mutation: Mutation) => Promise<ChangeResult>
  /** Withdraws a message from its delivery in this process. Returns undefined if it may still be sent. */
  cancelDelivery: (id: string) => Withdrawal | undefined
}

interface SharedParts {
  operations: ServerOperations
  mutations: StoredMutations
  /** Calls the change listener for a message if another process has settled it, and `isFollowed` still holds. */
  announce: (id: string, isFollowed: (id: string) => boolean) => Promise<void>
}

/** Builds the {@link ServerOperations} of a driver on its store. Their methods throw `QUEUE_UNAVAILABLE` while the server can't be reached. */
export function serverOperations(store: ServerStore, options: ServerOperationsOptions): SharedParts {
  const { guard, write, cancelDelivery, onChange, recordsOf, retain, maxAge, encryption } = options
  const records: SharedRecords = {
    write: (changes) => guard(() => store.writeRecords(changes)),
    read: (ranges) => guard(() => store.readRecords(ranges)),
  }
  const { read, settledElsewhere, ...queries } = storedQueries(store, guard)
  const mutations = new StoredMutations({
    read,
    write: (mutation) => guard(() => write(mutation)),
    changed: onChange,
    recordsOf,
    data: retain.data,
    maxAge,
    cipher: encryption?.rows,
    cancelDelivery,
  })
  return {
    operations: {
      ...queries,
      durable: true,
      search: 'scan',
      records: encryption?.records(records) ?? records,
      allowances: (transport, rate) =>
        new DistributedRateLimiter(transport, rate, store.requestPermits, () => store.nextOperation()),
      act: async (id, action) => (await mutations.apply(id, action))(),
      change: (id, action) => mutations.apply(id, action),
    },
    mutations,
    async announce(id, isFollowed) {
      const message = await settledElsewhere(id)
      if (message !== undefined && isFollowed(id)) onChange(message)
    },
  }
}
