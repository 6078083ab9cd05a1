import { open, rm } from 'node:fs/promises'
import { archivedMessages } from '../delivery/archive.js'
import { ThreadpostError } from '../errors.js'
import { type AddressTest, namesAddress } from './replaceAddresses.js'

/** Bytes of a message that are searched for its recipients. */
const HEADER_SIZE = 256 * 1024
/** The fields that name recipients, with their continuation lines (RFC 5322, section 2.2.3). */
const RECIPIENTS = /^(?:to|cc|bcc):[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*/gim

/**
 * Deletes the messages of an archive that were for an address: they are kept as they were sent, so it can't be taken out of them.
 * @param ids the messages that were for the address, as far as the queue knows them; of others, the header tells
 * @returns the number of deleted files
 * @throws ThreadpostError `INVALID_OPTIONS` if the folder can't be read or changed
 */
export async function eraseFromArchive(
  dir: string,
  ids: ReadonlySet<string>,
  isErased: AddressTest,
): Promise<number> {
  let count = 0
  try {
    for await (const { file, id } of archivedMessages(dir)) {
      if (!ids.has(id) && !(await isFor(file, isErased))) continue
      await rm(file, { force: true })
      count++
    }
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `archive: messages can't be read or deleted (${code}); the queue no longer has the address. Grant this user access to the folder, and erase the address again`,
      { path: 'archive', cause: error },
    )
  }
  return count
}

async function isFor(file: string, isErased: AddressTest): Promise<boolean> {
  let handle
  try {
    handle = await open(file)
  } catch (error) {
    // Another process removes old messages.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_SIZE), 0, HEADER_SIZE)
    const text = buffer.toString('utf8', 0, bytesRead)
    const [header = ''] = text.split(/\r?\n\r?\n/, 1)
    return (header.match(RECIPIENTS) ?? []).some((field) => namesAddress(field, isErased))
  } finally {
    await handle.close()
  }
}
