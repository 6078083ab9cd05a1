import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox } from './support/mailer.js'
import { appOf, blocksOf, promisesOf, readme, root } from './support/readme.js'
import { startRedis } from './support/redis.js'
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

  it('links to what is there', () => {
    const targets = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] ?? '')
    const local = targets.filter((target) => !/^https?:/.test(target))
    expect(local.length).toBeGreaterThan(2)
    expect(local.filter((target) => !existsSync(path.join(root, target)))).toEqual([])
  })
})
