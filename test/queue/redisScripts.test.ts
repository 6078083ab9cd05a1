import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, it } from 'vitest'
import { STATUSES } from '../../src/message/messageState.js'
import { packagedFile } from '../../src/protocol/threadFile.js'
import { AT_MAX_MEMORY, loadScripts } from '../../src/queue/redis/scripts.js'

const folder = path.resolve(import.meta.dirname, '../../src/queue/redis/scripts')
const files = await readdir(folder)

it('loads every Lua file of the folder, each with common.lua in front', async () => {
  const scripts = await loadScripts()
  expect(['common', ...Object.keys(scripts)].sort()).toEqual(
    files.map((file) => path.basename(file, '.lua')).sort(),
  )
  const common = await readFile(path.join(folder, 'common.lua'), 'utf8')
  for (const script of Object.values(scripts)) expect(script).toContain(common)
})

it('all scripts but those that accept messages run when the memory of Redis is full', async () => {
  const scripts = Object.entries(await loadScripts())
  const refused = scripts.filter(([, script]) => !script.startsWith(AT_MAX_MEMORY)).map(([name]) => name)
  expect(refused.sort()).toEqual(['enqueue', 'transfer'])
})

it.each(files)('%s documents its KEYS, its ARGV and its reply, and spells no status', async (file) => {
  const source = await readFile(path.join(folder, file), 'utf8')
  const [, header = '', code = ''] = /^--\[\[([^]*?)\]\]\n([^]*)$/.exec(source) ?? []
  expect(header).toContain('KEYS[1]')
  expect(header).toContain('ARGV[')
  if (file !== 'common.lua') expect(header).toMatch(/^ {2}Returns /m)
  const spelled = STATUSES.filter((status) => code.includes(`'${status}'`) || code.includes(`"${status}"`))
  expect(spelled).toEqual([])
})

it('says how to leave threadpost out of a bundle if a script is missing', () => {
  expect(() => packagedFile('src/queue/redis/scripts/missing.lua', 'a script of its queue')).toThrow(
    expect.objectContaining({
      code: 'START_FAILED',
      message: expect.stringMatching(
        /a script of its queue, .*missing\.lua, does not exist.*external: \['threadpost'\]/,
      ) as string,
    }),
  )
})
