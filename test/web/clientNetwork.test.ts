import { describe, expect, it } from 'vitest'
import { FailedLogins } from '../../src/intake/clientLimits.js'
import { clientNetwork } from '../../src/web/clientNetwork.js'

describe('the network of a client', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:ffff:ffff:ffff:ffff', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::', '2001:db8:0:1::/64'],
    ['2001:db8:1:2:3:4:192.0.2.7', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::1:2:3:4:5:192.0.2.7', '0:1:2:3::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['unknown', 'unknown'],
  ])('of %s is %s', (address, network) => {
    expect(clientNetwork(address)).toBe(network)
  })

  it('is what wrong passwords are limited by: another address of it is no fresh start', () => {
    const logins = new FailedLogins(3)
    for (const last of ['1', '2', '3']) logins.failed(`2001:db8::${last}`)
    expect(logins.refuses('2001:db8::4', undefined)).toBe(true)
    expect(logins.refuses('2001:db8:0:1::4', undefined)).toBe(false)
  })
})
