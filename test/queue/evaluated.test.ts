import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')

const SCRIPT = `
import { createMailer } from 'threadpost'
const mailer = await createMailer({ transport: 'inbox:', from: 'acme@acme.example', queue: 'sqlite:' + process.argv[1] })
const { status } = await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hello', text: 'Hello Ada' })
console.log(status)
await mailer.close()
`

it('the SQLite queue works in a script passed to node -e, although threads can’t start with its flags', async () => {
  const file = path.join(await folderOf({}), 'outbox.db')
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', SCRIPT, file], { cwd: root })
  expect(stdout.trim()).toBe('sent')
})
