import { pathToFileURL } from 'node:url'
import { ThreadpostError } from 'threadpost'
import { expect, test } from 'vitest'
import { builtFile } from './support/built.js'

test('a ThreadpostError is recognized by another copy of the package, and another error is not', async () => {
  const copy = `${pathToFileURL(builtFile('src/errors.js')).href}?copy`
  const other = ((await import(copy)) as { ThreadpostError: typeof ThreadpostError }).ThreadpostError
  expect(other).not.toBe(ThreadpostError)
  const error: unknown = new other('CONFLICT', 'Two copies')
  expect(error).toBeInstanceOf(ThreadpostError)
  expect(new ThreadpostError('CONFLICT', 'One copy')).toBeInstanceOf(other)
  for (const value of [new Error('CONFLICT'), { code: 'CONFLICT' }, null, undefined, 'CONFLICT'])
    expect(value instanceof ThreadpostError).toBe(false)
})
