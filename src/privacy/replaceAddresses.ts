import { suppressionKey } from '../suppressions/suppression.js'

/** Stands for an address that was erased. No mail can reach it: the top-level domain is reserved (RFC 6761, section 6.4). */
export const ERASED = 'erased@invalid'

/** Whether an address is the one to erase, in any of its forms. */
export type AddressTest = (address: string) => boolean

/** Letter case, and the script of the domain, make no difference. */
export function testFor(address: string): AddressTest {
  const key = suppressionKey(address)
  return (other) => suppressionKey(other) === key
}

/** Matches a possible address within a text, with what precedes it and may belong to it or not, such as `to=`. Each match reads a bounded length. */
const ADDRESS = /([^\s<>"'(),:;@]{0,64}=)?([^\s<>"'(),:;@=]{1,64}@[^\s<>"'(),:;@=]{1,255})/g

/** Returns a copy of plain data with {@link ERASED} in the place of the address, also within longer texts. */
export function replaceAddresses<T>(value: T, isErased: AddressTest): T {
  let replaced: unknown = value
  if (typeof value === 'string')
    replaced = value.replace(ADDRESS, (found, before: string | undefined, address: string) => {
      if (isErased(withoutDot(found))) return ERASED
      return isErased(withoutDot(address)) ? `${before ?? ''}${ERASED}` : found
    })
  else if (Array.isArray(value)) replaced = value.map((each: unknown) => replaceAddresses(each, isErased))
  else if (typeof value === 'object' && value !== null)
    replaced = Object.fromEntries(
      Object.entries(value).map(([name, each]) => [name, replaceAddresses(each as unknown, isErased)]),
    )
  return replaced as T
}

/** Whether a text names the address. */
export function namesAddress(text: string, isErased: AddressTest): boolean {
  return replaceAddresses(text, isErased) !== text
}

/** An address at the end of a sentence. */
function withoutDot(address: string): string {
  return address.replace(/\.$/, '')
}
