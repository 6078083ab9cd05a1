import fc from 'fast-check'

/** Random choices of a generator. */
export class Choices {
  constructor(readonly pick: <T>(arbitrary: fc.Arbitrary<T>) => T) {}

  one<T>(...of: readonly T[]): T {
    return this.pick(fc.constantFrom(...of))
  }

  /** @param least inclusive, as is `most` */
  number(least: number, most: number): number {
    return this.pick(fc.integer({ min: least, max: most }))
  }

  chance(percent: number): boolean {
    return this.number(1, 100) <= percent
  }

  many(least: number, most: number, part: () => string): string {
    const count = this.number(least, most)
    return Array.from({ length: count }, part).join(this.one('', '\n', ' '))
  }
}
