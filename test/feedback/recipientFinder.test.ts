import { describe, expect, it } from 'vitest'
import { RecipientFinder } from '../../src/feedback/applyReports.js'

describe('the recipients that reports name', () => {
  it('are each read twice at most, however many reports there are', () => {
    let reads = 0
    const recipients = Array.from({ length: 1_000 }, (_, index) => ({
      get address() {
        reads++
        return `user${index}@example.com`
      },
    }))
    const finder = new RecipientFinder(recipients)
    for (let index = 0; index < 2_000; index++) {
      const found = finder.find({ recipient: `USER${index}@Example.com` })
      expect(found).toBe(recipients[index])
    }
    expect(reads).toBe(2_000)
  })

  it('are found as they are written first, and then in the form in which addresses are compared', () => {
    const [upper, lower, idn] = ['Ada@example.com', 'ada@example.com', 'eve@bücher.example'].map(
      (address) => ({
        address,
      }),
    )
    const finder = new RecipientFinder([upper!, lower!, idn!])
    expect(finder.find({ recipient: 'ada@example.com' })).toBe(lower)
    expect(finder.find({ recipient: 'ADA@example.com' })).toBe(upper)
    expect(finder.find({ recipient: 'EVE@xn--bcher-kva.example' })).toBe(idn)
    expect(finder.find({ recipient: 'x', key: 'eve@xn--bcher-kva.example' })).toBe(idn)
    expect(finder.find({ recipient: 'nobody@example.com', orOnly: true })).toBeUndefined()
    expect(finder.find({})).toBeUndefined()
    expect(new RecipientFinder([lower!]).find({ recipient: 'nobody@example.com', orOnly: true })).toBe(lower)
  })
})
