import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { createMailer } from 'threadpost'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from './support/folder.js'
import { testInbox } from './support/mailer.js'
import { appOf, blocksOf, promisesOf } from './support/readme.js'
import { startRedis } from './support/redis.js'
import { post, serve } from './support/serve.js'
import { itWith } from './support/tools.js'

const run = promisify(execFile)
const blocks = blocksOf('js')

async function printed(source: string): Promise<string[]> {
  const { stdout } = await run(process.execPath, ['app.js'], { cwd: await appOf(source) })
  return stdout.trimEnd().split('\n')
}

describe('the README', () => {
  it('embeds in 12 lines that work', async () => {
    const block = blocks.find((source) => source.includes('app.listen(3000)')) ?? ''
    const listening = block.replace(
      'app.listen(3000)',
      'app.listen(0, "127.0.0.1", function () { process.send(this.address().port) })',
    )
    const body = block.split('\n').filter((line) => line !== '' && !line.startsWith('import'))
    expect(body.length).toBeLessThanOrEqual(12)

    const inbox = await testInbox()
    const app = spawn(process.execPath, ['app.js'], {
      cwd: await appOf(listening),
      env: { ...process.env, SMTP_URL: inbox.url },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    onTestFinished(async () => {
      app.kill()
      if (app.exitCode === null && app.signalCode === null) await once(app, 'exit')
    })
    const [port] = (await once(app, 'message')) as [number]
    const response = await fetch(`http://127.0.0.1:${port}/signup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'Ada', email: 'ada@example.com' }),
    })
    expect(response.status).toBe(202)
    expect(await response.json()).toHaveProperty('id')
    expect((await inbox.waitFor({ to: 'ada@example.com' })).html).toContain('Ada')
  })

  const others = blocks.filter((source) => !source.includes('app.listen(3000)'))
  it.each(
    others.map((source) => [
      source.split('\n').find((line) => line.includes('console')) ?? source.slice(0, 40),
      source,
    ]),
  )('has a block that prints what it says: %s', async (_, source) => {
    const promised = promisesOf(source)
    expect(promised.length).toBeGreaterThan(0)
    expect(await printed(source)).toEqual(promised)
  })

  itWith(['redis-server'], 'has a fleet over Redis', async (tools) => {
    const settings = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
    const redis = await startRedis(tools['redis-server'], settings)
    onTestFinished(() => redis.close())
    const [source = ''] = blocksOf('js redis')
    expect(await printed(source.replace('redis://127.0.0.1:6379', redis.url))).toEqual(promisesOf(source))
  })

  it('has a template that compiles once and makes a subject', async () => {
    const templates = await folderOf({ 'welcome.mjml': blocksOf('xml')[0] ?? '' })
    const mailer = await createMailer({ transport: 'smtp://127.0.0.1:1', templates, threads: 0 })
    onTestFinished(() => mailer.close())
    expect(await mailer.inspect('welcome')).toMatchObject({ findings: [], warnings: [] })
    const data = { name: 'Ada', url: 'https://acme.example/start' }
    const { subject, preheader, text } = await mailer.render('welcome', data)
    expect([subject, preheader]).toEqual(['Welcome, Ada', 'Your account is ready.'])
    expect(text).toContain('https://acme.example/start')
  })

  it('has a request for curl that the service takes', async () => {
    const [request = ''] = blocksOf('sh').filter((source) => source.startsWith('curl '))
    const [body = ''] = /(?<=-d ').*(?=')/.exec(request) ?? []
    const { url } = await serve({})
    expect((await post(url, JSON.parse(body) as object)).status).toBe(202)
    expect(request).toContain(' http://127.0.0.1:3000/mail/messages ')
  })

  it('has a test for node:test that passes', async () => {
    const [source = ''] = blocksOf('js test')
    // A slow machine may take longer than the five seconds that expectMail() waits by default.
    const patient = source.replace('/^Welcome/ })', '/^Welcome/ }, { timeout: 100_000 })')
    expect(patient).not.toBe(source)
    const { stdout } = await run(process.execPath, ['--test', 'app.js'], { cwd: await appOf(patient) })
    expect(stdout).toContain('# pass 1')
  })
})
