import { expect, it } from 'vitest'
import { SlotMap } from '../../src/structures/slotMap.js'
import { randomFrom } from '../support/random.js'

it('uses a free number again before it makes a new one', () => {
  const map = new SlotMap<{ name: string }>()
  expect(['a', 'b', 'c'].map((name) => map.add({ name }))).toEqual([0, 1, 2])
  expect(map.take(1)).toEqual({ name: 'b' })
  expect(map.add({ name: 'd' })).toBe(1)
  expect(map.add({ name: 'e' })).toBe(3)
})

it.each([
  { title: 'a number that was never given out', number: 9 },
  { title: 'a number that was taken already', number: 0 },
])('returns undefined for $title', ({ number }) => {
  const map = new SlotMap<object>()
  map.take(map.add({}))
  expect(map.take(number)).toBeUndefined()
  expect(map.size).toBe(0)
})

it('returns each entry once under its number, over thousands of random steps', () => {
  const random = randomFrom(41)
  const map = new SlotMap<{ name: number }>()
  const model = new Map<number, number>()
  for (let name = 0; name < 5_000; name++) {
    if (model.size > 40 || (model.size > 0 && random() < 0.5)) {
      const numbers = [...model.keys()]
      const number = numbers[Math.floor(random() * numbers.length)]!
      expect(map.take(number)).toEqual({ name: model.get(number) })
      expect(map.take(number)).toBeUndefined()
      model.delete(number)
    } else {
      const number = map.add({ name })
      expect(model.has(number)).toBe(false)
      model.set(number, name)
    }
    expect(map.size).toBe(model.size)
  }
  expect(Math.max(...model.keys())).toBeLessThanOrEqual(41)
  expect(new Set(map.takeAll().map(({ name }) => name))).toEqual(new Set(model.values()))
  expect(map.size).toBe(0)
})
