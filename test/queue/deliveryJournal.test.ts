import { existsSync } from 'node:fs'
import { stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Evidence, evidenceOn } from '../../src/protocol/evidence.js'
import { openJournal, readJournal, DeliveryJournal } from '../../workers/deliveryJournal.js'
import { folderOf } from '../support/folder.js'
import { itOnSmallDisk } from '../support/smallDisk.js'

const ID = '0195a0e0-0000-7000-8000-000000000001'
const OTHER = '0195a0e0-0000-7000-8000-000000000002'

/** A journal with 128 entries, closed when the test ends. */
function journalAt(file: string): DeliveryJournal {
  openJournal(file, 128)
  const journal = new DeliveryJournal(file)
  onTestFinished(() => journal.close())
  return journal
}

async function newJournal(): Promise<{ file: string; journal: DeliveryJournal }> {
  const file = path.join(await folderOf({}), 'journal')
  return { file, journal: journalAt(file) }
}

function evidence(file: string, id: string, attempt: number): Evidence | undefined {
  return evidenceOn(readJournal(file)?.(id) ?? null, attempt)
}

describe('the delivery journal', () => {
  it('records how far each attempt got', async () => {
    const { file, journal } = await newJournal()
    journal.entryFor({ id: ID, attempt: 1, note: 3 }).body(0, [])
    const replied = journal.entryFor({ id: OTHER, attempt: 2, note: 0 })
    replied.body(0, [])
    replied.replied(250, ['accepted', 'rejected', 'deferred', 'uncertain', 'accepted'])
    expect(evidence(file, ID, 1)).toMatchObject({ phase: 'body', reply: 0 })
    expect(evidence(file, ID, 2)).toMatchObject({ phase: 'waiting' })
    expect(evidence(file, OTHER, 2)).toEqual({
      phase: 'replied',
      thread: 0,
      reply: 250,
      recipients: ['accepted', 'rejected', 'deferred', undefined, 'accepted'],
    })
  })

  it('keeps the results of earlier transactions of a message in the entry of its further body', async () => {
    const { file, journal } = await newJournal()
    const entry = journal.entryFor({ id: ID, attempt: 1, note: 0 })
    entry.body(0, [])
    entry.replied(250, ['accepted', 'rejected', 'deferred'])
    entry.body(250, ['accepted', 'rejected', 'uncertain'])
    expect(evidence(file, ID, 1)).toEqual({
      phase: 'body',
      thread: 0,
      reply: 250,
      recipients: ['accepted', 'rejected', undefined],
    })
  })

  it('retracts an entry if nothing was handed over after all', async () => {
    const { file, journal } = await newJournal()
    const entry = journal.entryFor({ id: ID, attempt: 1, note: 0 })
    entry.body(0, [])
    entry.unsent()
    expect(evidence(file, ID, 1)).toMatchObject({ phase: 'connecting' })
  })

  it('forgets a delivery whose slot is reused', async () => {
    const { file, journal } = await newJournal()
    journal.entryFor({ id: ID, attempt: 1, note: 0 }).replied(250, ['accepted', 'accepted'])
    journal.entryFor({ id: OTHER, attempt: 1, note: 0 }).body(0, [])
    expect(evidence(file, ID, 1)).toMatchObject({ phase: 'waiting' })
    expect(evidence(file, OTHER, 1)).toMatchObject({ phase: 'body', recipients: [] })
  })

  it('proves nothing after a restart of the machine, or if it is missing', async () => {
    const { file } = await newJournal()
    await writeFile(file, 'another-boot'.padEnd(512, '\0'))
    expect(readJournal(file)).toBeUndefined()
    expect(readJournal(`${file}-gone`)).toBeUndefined()
  })

  it.each([
    ['cut off within its slots', (size: number) => [size - 512 * 20]],
    ['cut off within an entry', (size: number) => [size - 1]],
    ['cut off to nothing', () => [0]],
    ['longer than at its start', (size: number) => [size + 512]],
    ['cut off and grown again with a hole', (size: number) => [512, size]],
  ])('proves nothing if the file is %s', async (_, sizes) => {
    const { file, journal } = await newJournal()
    journal.entryFor({ id: ID, attempt: 1, note: 90 }).body(0, [])
    const { size } = await stat(file)
    for (const length of sizes(size)) await truncate(file, length)
    // The last slot is written once more, so that the file may have its full length.
    journal.entryFor({ id: OTHER, attempt: 1, note: 127 }).replied(250, ['accepted'])
    expect(readJournal(file)).toBeUndefined()
  })

  itOnSmallDisk(
    'allocates its space at the start, so that a full disk stops no entry',
    1,
    async (folder, fill) => {
      const file = path.join(folder, 'journal')
      const journal = journalAt(file)
      await fill()
      journal.entryFor({ id: ID, attempt: 1, note: 127 }).body(0, [])
      expect(evidence(file, ID, 1)).toMatchObject({ phase: 'body' })
    },
  )

  itOnSmallDisk('proves nothing once an entry could not be written', 1, async (folder, fill) => {
    const file = path.join(folder, 'journal')
    const journal = journalAt(file)
    await fill()
    journal.entryFor({ id: ID, attempt: 1, note: 500 }).body(0, [])
    expect(readJournal(file)).toBeUndefined()
  })

  itOnSmallDisk('is not created at all on a full disk', 1, async (folder, fill) => {
    const file = path.join(folder, 'journal')
    await fill()
    expect(() => openJournal(file, 128)).toThrow(/ENOSPC/)
    expect(existsSync(file)).toBe(false)
  })

  it('doesn’t throw if every write fails', () => {
    const journal = new DeliveryJournal('/dev/full')
    onTestFinished(() => journal.close())
    const entry = journal.entryFor({ id: ID, attempt: 1, note: 0 })
    expect(() => {
      entry.body(0, [])
      entry.unsent()
      entry.replied(250, ['accepted'])
    }).not.toThrow()
  })
})
