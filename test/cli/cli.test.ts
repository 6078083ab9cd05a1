import { execFile } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { promisify } from 'node:util'
import { startInbox } from 'threadpost/testing'
import { describe, expect, it } from 'vitest'
import { txtServer } from '../support/dnsServer.js'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { environment, main, post, serve } from '../support/serve.js'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')

const plain = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

describe('threadpost send', () => {
  it('sends a template and prints the outcome as JSON', async () => {
    const inbox = await testInbox()
    const folder = await folderOf({ 'data.json': '{ "name": "Ada" }' })
    const args = [
      'send',
      '--to',
      'ada@example.com',
      '--template',
      'welcome',
      '--data',
      path.join(folder, 'data.json'),
      '--json',
    ]
    const { stdout } = await run(process.execPath, [main, ...args], {
      cwd: root,
      env: { ...environment, THREADPOST_TRANSPORT: inbox.url },
    })
    expect(JSON.parse(stdout)).toMatchObject({ status: 'sent', template: 'welcome' })
    expect((await inbox.waitFor()).html).toContain('Ada')
  })

  it('exits with 1 if the mail was refused or is invalid', async () => {
    const inbox = await testInbox({ faults: [{ at: 'rcpt', do: 'refuse' }] })
    const send = (...args: string[]) =>
      run(process.execPath, [main, 'send', '--transport', inbox.url, '--subject', 'x', ...args], {
        env: environment,
      })
    await expect(send('--to', 'a@example.com', '--text', 'x')).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^failed .*550/) as string,
    })
    await expect(send('--to', 'nobody', '--text', 'x')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^threadpost: to\[0\]: .*\[INVALID_MESSAGE\]\n$/) as string,
    })
  })

  it('explains why a mail was not sent in time, and that the memory queue loses it', async () => {
    const inbox = await startInbox()
    await inbox.close()
    const args = ['--to', 'a@example.com', '--subject', 'x', '--text', 'x', '--from', 'b@example.com']
    const sent = run(process.execPath, [main, 'send', '--transport', inbox.url, '--timeout', '5s', ...args])
    await expect(sent).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /within 5000 ms\. Held .*could not be reached.*is in memory, so the mail is lost/,
      ) as string,
    })
  })
})

describe('threadpost doctor', () => {
  it('looks up the DNS records of a domain', async () => {
    const { address } = await txtServer({ 'acme.example': [['v=spf1 -all']] })
    const flags = ['--domain', 'ACME.example.', '--dkim-selector', 's1', '--dkim-selector', 's2']
    const result = run(process.execPath, [main, 'doctor', ...flags, '--dns-server', address], {
      cwd: await folderOf({}),
      env: environment,
    })
    const { stdout } = await result.catch((error: unknown) => error as { stdout: string })
    expect(stdout).toContain('acme.example has the SPF record v=spf1 -all.')
    expect(stdout).toContain('s2._domainkey.acme.example has no DKIM key')
    for (const wrong of [
      ['--domain', 'x y'],
      ['--dns-server', 'nowhere'],
      ['--dkim-selector', '..'],
    ])
      await expect(run(process.execPath, [main, 'doctor', ...wrong])).rejects.toMatchObject({ code: 2 })
  })

  it('prints its findings as JSON, and sends nothing', async () => {
    const inbox = await testInbox()
    const { stdout } = await run(process.execPath, [main, 'doctor', '--transport', inbox.url, '--json'], {
      cwd: root,
      env: environment,
    })
    const findings = JSON.parse(stdout) as { what: string; ok: boolean; says: string; details?: string[] }[]
    expect(findings.map(({ what }) => what)).toEqual(['transport', 'queue', 'disk', 'clock'])
    expect(findings[0]).toMatchObject({ ok: true, says: expect.stringContaining('accepts mail') as string })
    expect(findings[0]?.details?.join()).toContain('PIPELINING')
    expect(inbox.count).toBe(0)
  })

  it('warns that mail stays in the embedded inbox if no transport is set', async () => {
    const { stdout } = await run(process.execPath, [main, 'doctor'], {
      cwd: root,
      env: { PATH: process.env['PATH'] },
    })
    expect(stdout).toMatch(
      /^ok +transport .* accepts mail .*\n +this is the embedded inbox, .*no mail leaves this machine\n/,
    )
  })

  it('exits with 1 if mail cannot be sent, and explains why', async () => {
    const inbox = await startInbox()
    await inbox.close()
    await expect(
      run(process.execPath, [main, 'doctor', '--transport', inbox.url], { cwd: root, env: environment }),
    ).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^FAIL +transport .*could not be reached/) as string,
    })
  })
})

describe('threadpost serve', () => {
  it('finishes work in progress on SIGTERM', async () => {
    const inbox = await testInbox({ faults: [{ at: 'dot', do: 'delay', ms: 300 }] })
    const server = await serve({ THREADPOST_TRANSPORT: inbox.url })
    const responses = await Promise.all(Array.from({ length: 5 }, () => post(server.url, plain)))
    expect(responses.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202])
    await expect.poll(() => inbox.connections().some(({ transactions }) => transactions > 0)).toBe(true)
    server.process.kill('SIGTERM')
    expect(await once(server.process, 'exit')).toEqual([0, null])
    expect(inbox.count).toBe(5)
  })

  it('requires a token beyond loopback', async () => {
    await expect(
      run(process.execPath, [main, 'serve', '--host', '0.0.0.0', '--port', '0'], {
        cwd: root,
        env: environment,
      }),
    ).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('token: is required') as string,
    })
  })

  it('explains what to do about a template folder that does not exist', async () => {
    const served = run(process.execPath, [main, 'serve', '--templates', 'nowhere'], {
      cwd: root,
      env: environment,
    })
    await expect(served).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(
        `The template folder ${path.join(root, 'nowhere')} doesn't exist. Specify another one`,
      ) as string,
    })
  })

  it('prints an invalid setting in one line, without secrets', async () => {
    await expect(
      run(process.execPath, [main, 'serve', '--transport', 'smtp://user:hunter2@'], {
        cwd: root,
        env: environment,
      }),
    ).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^threadpost: transport: (?!.*hunter2).*\n$/) as string,
    })
  })
})
