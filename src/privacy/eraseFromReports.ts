import { PREFIX } from '../feedback/earlyReports.js'
import { rangeOf, type SharedRecords } from '../queue/records.js'
import { type AddressTest, namesAddress } from './replaceAddresses.js'

/** Removes the reports that wait for their message and name an address. */
export async function eraseFromReports(records: SharedRecords, isErased: AddressTest): Promise<void> {
  const [found = []] = await records.read([rangeOf(PREFIX)])
  const named = found.filter(({ document }) => document !== undefined && namesAddress(document, isErased))
  if (named.length > 0) await records.write(named.map(({ key }) => ({ key, keepUntil: 0, remove: true })))
}
