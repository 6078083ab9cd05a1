import { parseJson } from '../protocol/parseJson.js'
import type { RecordChange, SharedRecord, SharedRecords } from '../queue/records.js'
import {
  allEvents,
  allFailedEvents,
  placeOfEvent,
  rewrittenEvent,
  rewrittenFailure,
  toEvent,
  toFailed,
} from '../webhooks/webhookStore.js'
import { type AddressTest, replaceAddresses } from './replaceAddresses.js'

/** Events that are read at a time. */
const STEP = 200

interface Payload {
  data: { context?: unknown; tags?: unknown }
}

/**
 * Erases an address from the events that wait for webhooks, and from those that are listed as given up. They keep their ids, and
 * are sent with another address in its place, and without the context and tags of the message.
 * @param ids the messages from which the address was erased: `redact` may have shortened it in their events
 * @returns the number of events that changed
 */
export async function eraseFromEvents(
  records: SharedRecords,
  ids: ReadonlySet<string>,
  isErased: AddressTest,
): Promise<number> {
  const erased = (body: string, lane: string): string => {
    const payload = parseJson(body) as Payload
    const replaced = replaceAddresses(payload, isErased)
    if (!ids.has(lane) && JSON.stringify(replaced) === JSON.stringify(payload)) return body
    delete replaced.data.context
    if (replaced.data.tags !== undefined) replaced.data.tags = []
    return JSON.stringify(replaced)
  }
  const now = Date.now()
  const waiting = await rewrite(records, allEvents(STEP), (record) => {
    const { lane } = placeOfEvent(record.key)
    const { body } = toEvent(record)
    const after = erased(body, lane)
    return after === body ? [] : rewrittenEvent(record, after, now)
  })
  const failed = await rewrite(records, allFailedEvents(STEP), (record) => {
    const { body, lane } = toFailed(record)
    const after = erased(body, lane)
    return after === body ? [] : [rewrittenFailure(record, after)]
  })
  return waiting + failed
}

async function rewrite(
  records: SharedRecords,
  range: ReturnType<typeof allEvents>,
  changesOf: (record: SharedRecord) => RecordChange[],
): Promise<number> {
  let count = 0
  for (let { from } = range, more = true; more;) {
    const [found = []] = await records.read([{ ...range, from }])
    // Without its document, an event is sealed with a key that this process doesn't have.
    const changes = found.flatMap((record) => (record.document === undefined ? [] : [changesOf(record)]))
    if (changes.flat().length > 0) await records.write(changes.flat())
    count += changes.filter(({ length }) => length > 0).length
    more = found.length === range.limit
    from = `${found.at(-1)?.key}!`
  }
  return count
}
