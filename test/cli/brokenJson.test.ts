import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { main } from '../support/serve.js'

const execute = promisify(execFile)
const CANARY = 'Hunter2'
const BROKEN = {
  'a value without quotes': `[{"user":"p","pass":${CANARY}-very-secret}]`,
  'an object without its end': `{"user":"p","pass":"${CANARY}"`,
  'a comma too many': `{"pass":"${CANARY}",}`,
  'a text': CANARY,
}

/** Runs the command, which must fail, and returns all that it prints. */
async function failing(args: string[], env: Record<string, string> = {}): Promise<string> {
  const options = { cwd: await folderOf({}), env: { PATH: process.env['PATH'], ...env } }
  const error: unknown = await execute(process.execPath, [main, ...args], options).catch(
    (error: unknown) => error,
  )
  const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number }
  expect(code).toBeGreaterThan(0)
  return stdout + stderr
}

/** Places where the command reads JSON. Each returns the arguments for a file with that content. */
const PLACES: Record<string, (content: string) => Promise<string[]>> = {
  '--smtp-users': async (content) => [
    'serve',
    '--port',
    '0',
    '--smtp-port',
    '0',
    '--smtp-users',
    await file(content),
  ],
  '--webhooks': async (content) => ['serve', '--port', '0', '--webhooks', await file(content)],
  '--globals': async (content) => [
    'check',
    '--templates',
    await folderOf({}),
    '--globals',
    await file(content),
  ],
  '--data': async (content) => ['render', 'welcome', '--data', await file(content)],
  'package.json': async (content) => ['init', await folderOf({ 'package.json': content })],
  'a sample': async (content) => ['check', '--templates', await folderOf({ 'a.json': content, ...MAIL })],
  'a locale': async (content) => [
    'check',
    '--templates',
    await folderOf({ 'locales/en.json': content, ...MAIL }),
  ],
  'built templates': async (content) => [
    'render',
    'welcome',
    '--templates',
    await folderOf({ 'threadpost-templates.json': content }),
  ],
}
const MAIL = { 'a.mjml': '<mjml><mj-body></mj-body></mjml>' }

async function file(content: string): Promise<string> {
  return path.join(await folderOf({ 'secrets.json': content }), 'secrets.json')
}

const cases = Object.keys(PLACES).flatMap((place) =>
  Object.entries(BROKEN).map(([mistake, content]) => [place, mistake, content] as const),
)

describe('JSON with a mistake', () => {
  it.each(cases)('is not quoted by the command: %s, %s', async (place, _, content) => {
    const printed = await failing((await PLACES[place]?.(content)) ?? [])
    expect(printed).toMatch(/at line 1, column \d+/)
    expect(printed).not.toContain(CANARY)
  })

  it.each(
    ['--smtp-users', '--webhooks'].flatMap((flag) =>
      Object.values(BROKEN)
        .filter((content) => content !== CANARY)
        .map((content) => [flag, content] as const),
    ),
  )('is not quoted if it is the value of %s itself: %s', async (flag, content) => {
    const printed = await failing(['serve', '--port', '0', '--smtp-port', '0', flag, content])
    expect(printed).toMatch(/its value is not JSON: .* at line 1, column \d+/)
    expect(printed).not.toContain(CANARY)
  })
})
