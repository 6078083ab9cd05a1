import { expect, it } from 'vitest'
import { SettledLog } from '../../src/queue/memory/messageStore.js'
import { GenerationalCache } from '../../src/structures/generationalCache.js'
import { IndexedBag } from '../../src/structures/indexedBag.js'
import { SlotMap } from '../../src/structures/slotMap.js'
import { randomFrom } from '../support/random.js'

const random = randomFrom(41)
const anyOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!

it('IndexedBag holds the members that were added and not removed', () => {
  const bag = new IndexedBag<{ place: number; name: number }>()
  const there: { place: number; name: number }[] = []
  for (let name = 0; name < 5_000; name++) {
    if (there.length > 0 && random() < 0.5) {
      const gone = anyOf(there)
      there.splice(there.indexOf(gone), 1)
      bag.remove(gone)
      bag.remove(gone)
      expect(gone.place).toBe(-1)
    } else {
      const member = { place: -1, name }
      there.push(member)
      bag.add(member)
    }
  }
  const names = bag.filter(() => true).map(({ name }) => name)
  expect(names.toSorted((a, b) => a - b)).toEqual(there.map(({ name }) => name).toSorted((a, b) => a - b))
})

it('SlotMap returns each value once for its number, and reuses numbers', () => {
  const numbered = new SlotMap<{ name: number }>()
  const there = new Map<number, number>()
  for (let name = 0; name < 5_000; name++) {
    if (there.size > 40 || (there.size > 0 && random() < 0.5)) {
      const number = anyOf([...there.keys()])
      expect(numbered.take(number)).toEqual({ name: there.get(number) })
      expect(numbered.take(number)).toBeUndefined()
      there.delete(number)
    } else {
      const number = numbered.add({ name })
      expect(there.has(number)).toBe(false)
      there.set(number, name)
    }
    expect(numbered.size).toBe(there.size)
  }
  expect(Math.max(...there.keys())).toBeLessThanOrEqual(41)
  expect(new Set(numbered.takeAll().map(({ name }) => name))).toEqual(new Set(there.values()))
  expect(numbered.size).toBe(0)
})

it('GenerationalCache keeps the latest entries and drops old ones', () => {
  const recent = new GenerationalCache<number, string>(100)
  for (let key = 0; key < 1_000; key++) recent.add(key, `${key}`)
  for (let key = 900; key < 1_000; key++) expect(recent.take(key)).toBe(`${key}`)
  expect(recent.take(950)).toBeUndefined()
  expect(recent.take(799)).toBeUndefined()
})

it('SettledLog returns messages in the order in which they settled, whichever were removed', () => {
  const retained = new SettledLog<{ place: number; name: number }>()
  const there: { place: number; name: number }[] = []
  for (let name = 0; name < 20_000; name++) {
    const entry = { place: -1, name }
    retained.add(entry)
    there.push(entry)
    if (random() < 0.3) {
      const [out] = there.splice(Math.floor(random() * there.length), 1)
      retained.remove(out!)
    }
    while (there.length > 50) {
      expect(retained.oldest).toBe(there[0])
      retained.remove(there.shift()!)
    }
    expect(retained.size).toBe(there.length)
  }
})
