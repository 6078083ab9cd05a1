import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'
import { resolveLogger } from '../../src/logger.js'
import { Checker } from '../../src/check.js'
import { builtSqlite } from '../support/built.js'
import { queueSuite } from '../support/queueSuite.js'

const { SqliteQueue } = await builtSqlite()
const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-sqlite-'))
const logger = resolveLogger(new Checker('INVALID_OPTIONS'), undefined)
let files = 0

afterAll(() => rm(folder, { recursive: true, force: true }))

queueSuite('sqlite', (options) =>
  SqliteQueue.open({ ...options, file: path.join(folder, `${++files}.db`), logger }),
)
