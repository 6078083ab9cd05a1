import { existsSync } from 'node:fs'
import { stat, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openJournal, readJournal, DeliveryJournal } from '../../workers/deliveryJournal.js'
import { folderOf } from '../support/folder.js'
import { fillUp, smallDisk } from '../support/smallDisk.js'

const ID = '0195a0e0-0000-7000-8000-000000000001'
const OTHER = '0195a0e0-0000-7000-8000-000000000002'

async function notes(): Promise<{ file: string; witness: DeliveryJournal }> {
  const file = path.join(await folderOf({}), 'notes')
  openJournal(file, 128)
  const witness = new DeliveryJournal(file)
  onTestFinished(() => witness.close())
  return { file, witness }
}

describe('the delivery journal', () => {
  it('records how far each attempt got', async () => {
    const { file, witness } = await notes()
    witness.entryFor({ id: ID, attempt: 1, note: 3 }).body()
    const replied = witness.entryFor({ id: OTHER, attempt: 2, note: 0 })
    replied.body()
    replied.replied(250, ['accepted', 'rejected', 'deferred', 'uncertain', 'accepted'])
    const told = readJournal(file)
    expect(told?.(ID, 1)).toMatchObject({ phase: 'body', reply: 0 })
    expect(told?.(ID, 2)).toMatchObject({ phase: 'waiting' })
    expect(told?.(OTHER, 2)).toEqual({
      phase: 'replied',
      thread: 0,
      reply: 250,
      recipients: ['accepted', 'rejected', 'deferred', undefined, 'accepted'],
    })
  })

  it('retracts an entry if nothing was handed over after all', async () => {
    const { file, witness } = await notes()
    const testimony = witness.entryFor({ id: ID, attempt: 1, note: 0 })
    testimony.body()
    testimony.unsent()
    expect(readJournal(file)?.(ID, 1)).toMatchObject({ phase: 'connecting' })
  })

  it('forgets a delivery whose slot is reused', async () => {
    const { file, witness } = await notes()
    witness.entryFor({ id: ID, attempt: 1, note: 0 }).replied(250, ['accepted', 'accepted'])
    witness.entryFor({ id: OTHER, attempt: 1, note: 0 }).body()
    const told = readJournal(file)
    expect(told?.(ID, 1)).toMatchObject({ phase: 'waiting' })
    expect(told?.(OTHER, 1)).toMatchObject({ phase: 'body', recipients: [] })
  })

  it('proves nothing after a restart of the machine, or if it is missing', async () => {
    const { file } = await notes()
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
    const { file, witness } = await notes()
    witness.entryFor({ id: ID, attempt: 1, note: 90 }).body()
    const { size } = await stat(file)
    for (const length of sizes(size)) await truncate(file, length)
    // The last slot is written once more, so that the file may have its full length.
    witness.entryFor({ id: OTHER, attempt: 1, note: 127 }).replied(250, ['accepted'])
    expect(readJournal(file)).toBeUndefined()
  })

  it('allocates its space at the start, so that a full disk stops no entry', async (test) => {
    const folder = await smallDisk(1)
    if (folder === undefined) return test.skip('a small disk can only be mounted by root')
    const file = path.join(folder, 'notes')
    openJournal(file, 128)
    await fillUp(path.join(folder, 'ballast'))
    const witness = new DeliveryJournal(file)
    onTestFinished(() => witness.close())
    witness.entryFor({ id: ID, attempt: 1, note: 127 }).body()
    expect(readJournal(file)?.(ID, 1)).toMatchObject({ phase: 'body' })
  })

  it('proves nothing once an entry could not be written, and the delivery continues', async (test) => {
    const folder = await smallDisk(1)
    if (folder === undefined) return test.skip('a small disk can only be mounted by root')
    const file = path.join(folder, 'notes')
    openJournal(file, 128)
    await fillUp(path.join(folder, 'ballast'))
    const witness = new DeliveryJournal(file)
    onTestFinished(() => witness.close())
    witness.entryFor({ id: ID, attempt: 1, note: 500 }).body()
    expect(readJournal(file)).toBeUndefined()
  })

  it('is not created at all on a full disk', async (test) => {
    const folder = await smallDisk(1)
    if (folder === undefined) return test.skip('a small disk can only be mounted by root')
    await fillUp(path.join(folder, 'ballast'))
    const file = path.join(folder, 'notes')
    expect(() => openJournal(file, 128)).toThrow(/ENOSPC/)
    expect(existsSync(file)).toBe(false)
  })

  it('doesn’t throw if every write fails', () => {
    const witness = new DeliveryJournal('/dev/full')
    onTestFinished(() => witness.close())
    const testimony = witness.entryFor({ id: ID, attempt: 1, note: 0 })
    expect(() => {
      testimony.body()
      testimony.unsent()
      testimony.replied(250, ['accepted'])
    }).not.toThrow()
  })
})
