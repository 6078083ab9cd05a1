import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from 'vitest'
import { folderOf } from '../../support/folder.js'
import { testMailer } from '../../support/mailer.js'

it('writes mail that only its owner can read, into a folder that only its owner can open', async () => {
  const dir = path.join(await folderOf({}), 'sent', 'mail')
  const mailer = await testMailer({ transport: `file:${dir}` })
  await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello' })
  const [name = ''] = await readdir(dir)
  expect((await stat(path.join(dir, name))).mode & 0o777).toBe(0o600)
  expect((await stat(dir)).mode & 0o777).toBe(0o700)
})
