import { expect, it } from 'vitest'
import { IndexedBag } from '../../src/structures/indexedBag.js'
import { randomFrom } from '../support/random.js'

interface Named {
  name: number
  bagIndex: number
}

const named = (name: number): Named => ({ name, bagIndex: -1 })
const namesIn = (bag: IndexedBag<Named>): number[] =>
  bag
    .filter(() => true)
    .map(({ name }) => name)
    .sort((a, b) => a - b)

it.each([
  { removed: [0], left: [1, 2] },
  { removed: [1], left: [0, 2] },
  { removed: [2], left: [0, 1] },
  { removed: [0, 0], left: [1, 2] },
  { removed: [2, 0, 1], left: [] },
])('holds $left of three members after numbers $removed were removed', ({ removed, left }) => {
  const bag = new IndexedBag<Named>()
  const members = [0, 1, 2].map(named)
  for (const member of members) bag.add(member)
  for (const index of removed) bag.remove(members[index]!)
  expect(namesIn(bag)).toEqual(left)
  for (const index of removed) expect(members[index]!.bagIndex).toBe(-1)
})

it('filters its members', () => {
  const bag = new IndexedBag<Named>()
  for (const name of [1, 2, 3, 4]) bag.add(named(name))
  expect(bag.filter(({ name }) => name > 2).map(({ name }) => name)).toEqual([3, 4])
})

it('holds the members that were added and not removed, over thousands of random steps', () => {
  const random = randomFrom(41)
  const bag = new IndexedBag<Named>()
  const model: Named[] = []
  for (let name = 0; name < 5_000; name++) {
    if (model.length > 0 && random() < 0.5) {
      const [removed] = model.splice(Math.floor(random() * model.length), 1)
      bag.remove(removed!)
      bag.remove(removed!)
      expect(removed!.bagIndex).toBe(-1)
    } else {
      const member = named(name)
      model.push(member)
      bag.add(member)
    }
  }
  expect(namesIn(bag)).toEqual(model.map(({ name }) => name).sort((a, b) => a - b))
})
