import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from 'vitest'
import { root } from '../support/readme.js'

interface Entry {
  integrity?: string
  resolved?: string
  link?: boolean
}

it('every package of the lock file has a checksum, and none names a registry', async () => {
  const text = await readFile(path.join(root, 'package-lock.json'), 'utf8')
  const { packages } = JSON.parse(text) as { packages: Record<string, Entry> }
  const installed = Object.entries(packages).filter(([name, { link }]) => name !== '' && link !== true)
  expect(installed.length).toBeGreaterThan(500)
  expect(installed.filter(([, { integrity = '' }]) => !/^sha512-[\w+/]{86}==$/.test(integrity))).toEqual([])
  expect(installed.filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
})
