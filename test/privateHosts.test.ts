import { describe, expect, it } from 'vitest'
import { isPrivateAddress, isPrivateHost } from '../src/privateHosts.js'

describe('private addresses', () => {
  it.each(
    [
      ['127.0.0.1', '127.255.255.254', '0.0.0.0', '10.0.0.7', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
      [
        '168.63.129.16',
        '169.254.169.254',
        '100.64.0.1',
        '192.0.2.1',
        '198.51.100.7',
        '224.0.0.1',
        '255.255.255.255',
      ],
      [
        '::',
        '::1',
        'fc00::1',
        'fd12:3456::1',
        'fe80::1',
        'ff02::1',
        '2001:db8::1',
        '2002:7f00:1::',
        '64:ff9b::7f00:1',
      ],
      ['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:8.8.8.8', '::127.0.0.1', 'not an address', ''],
    ].flat(),
  )('include %s', (address) => {
    expect(isPrivateAddress(address)).toBe(true)
  })

  it.each(['8.8.8.8', '172.15.255.255', '172.32.0.1', '193.0.0.1', '2606:4700::1111', '2a00:1450::1'])(
    'do not include %s',
    (address) => {
      expect(isPrivateAddress(address)).toBe(false)
    },
  )

  it('are recognized in the host of a URL, in every notation', () => {
    for (const host of ['127.1', '0x7f000001', '2130706433', '[::1]', '[::ffff:10.0.0.1]'])
      expect(isPrivateHost(new URL(`http://${host}/`).hostname)).toBe(true)
    expect(isPrivateHost('localhost')).toBe(false)
  })
})
