import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import type { Worker } from 'node:worker_threads'
import { afterAll, it, onTestFinished } from 'vitest'
import { resolveLogger } from '../../src/logging/logger.js'
import { Validator } from '../../src/validation.js'
import { builtSqlite } from '../support/built.js'
import { queueSuite } from '../support/queueSuite.js'
import { testEncryption } from '../support/queueSuite/encryption.js'

const { SqliteQueue } = await builtSqlite()
const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-sqlite-'))
const logger = resolveLogger(new Validator('INVALID_OPTIONS'), undefined)
let files = 0

afterAll(() => rm(folder, { recursive: true, force: true }))

queueSuite('sqlite', (options) =>
  SqliteQueue.open({ ...options, file: path.join(folder, `${++files}.db`), logger }),
)

testEncryption(() => {
  const name = `encrypted-${++files}.db`
  return {
    open: (options) => SqliteQueue.open({ ...options, file: path.join(folder, name), logger }),
    bytes: async () => {
      const stored = (await readdir(folder)).filter((file) => file.startsWith(name))
      return Buffer.concat(await Promise.all(stored.map((file) => readFile(path.join(folder, file)))))
    },
  }
})

it('closes an outbox thread that is just replacing another', async () => {
  const threads: Worker[] = []
  const meet = (worker: Worker): void => void threads.push(worker)
  process.on('worker', meet)
  onTestFinished(() => void process.off('worker', meet))
  const queue = await SqliteQueue.open({
    limit: 10,
    maxAge: 1_000,
    retain: { count: 10, age: 1_000, data: 'kept', keys: 1_000 },
    onChange: () => undefined,
    logger,
    file: path.join(folder, 'restarted.db'),
  })
  await threads[0]?.terminate()
  const [second] = (await once(process, 'worker')) as [Worker]
  const gone = once(second, 'exit')
  await queue.close()
  await gone
})
