import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BOUNCE_CATEGORIES,
  type Delivery,
  DELIVERY_STATES,
  joinDelivery,
  reasonToSuppress,
} from '../../src/feedback/deliveryStates.js'

const reports = fc.record({
  state: fc.constantFrom(...DELIVERY_STATES),
  at: fc.constant('2026-03-01T10:00:00.000Z'),
  permanent: fc.boolean(),
  source: fc.constant('dsn'),
})

const joined = (list: readonly Delivery[]): Delivery | undefined =>
  list.reduce<Delivery | undefined>((before, report) => joinDelivery(before, report) ?? before, undefined)

describe('reports about one recipient', () => {
  it('lead to the same state in any order and however often they come', () => {
    const outcome = (list: readonly Delivery[]) => {
      const { state, permanent } = joined(list)!
      return { state, permanent: state === 'bounced' && permanent }
    }
    fc.assert(
      fc.property(
        fc.array(reports, { minLength: 1, maxLength: 8 }),
        fc.infiniteStream(fc.nat()),
        (list, order) => {
          const shuffled = [...list, ...list].map((report) => ({ report, key: order.next().value ?? 0 }))
          shuffled.sort((a, b) => a.key - b.key)
          expect(outcome(shuffled.map(({ report }) => report))).toEqual(outcome(list))
        },
      ),
    )
  })

  const at = (state: Delivery['state']): Delivery => ({ state, at: '', source: 'dsn' })

  it('are never a step back', () => {
    expect(joinDelivery(at('delivered'), at('delayed'))).toBeUndefined()
    expect(joinDelivery(at('delivered'), at('delivered'))).toBeUndefined()
    expect(joinDelivery(at('delivered'), at('complained'))).toEqual(at('complained'))
    expect(joinDelivery(at('delivered'), at('bounced'))).toEqual(at('bounced'))
    expect(joinDelivery(at('complained'), at('delivered'))).toBeUndefined()
  })

  it('suppress an address for a dead mailbox, a complaint or an unsubscribe, and for nothing else', () => {
    const bounced = (category: Delivery['category'], permanent: boolean) =>
      reasonToSuppress({ ...at('bounced'), permanent, ...(category === undefined ? {} : { category }) })
    for (const category of BOUNCE_CATEGORIES) {
      expect(bounced(category, true)).toBe(category === 'mailbox' ? 'bounce' : undefined)
      expect(bounced(category, false)).toBeUndefined()
    }
    expect(reasonToSuppress(at('complained'))).toBe('complaint')
    expect(reasonToSuppress(at('unsubscribed'))).toBe('unsubscribe')
    expect(reasonToSuppress(at('delivered'))).toBeUndefined()
  })
})
