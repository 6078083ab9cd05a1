import { readFile } from 'node:fs/promises'
import { InvalidArgumentError } from 'commander'
import { ThreadpostError } from '../errors.js'
import type { JsonObject } from '../protocol/tasks.js'
import { isPlainObject } from '../validation.js'

/** Parses a whole number not below `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const number = text.trim() === '' ? Number.NaN : Number(text)
    if (!Number.isInteger(number) || number < min)
      throw new InvalidArgumentError(`It must be a whole number from ${min} up.`)
    return number
  }
}

/** Parses the number of a port; 0 is any free one. */
export function portNumber(text: string): number {
  const port = wholeNumber(0)(text)
  if (port > 65_535) throw new InvalidArgumentError('It must be a port, at most 65535.')
  return port
}

/** Reads the data of a template; none is an empty object. A policy in sample data is no part of them. */
export async function dataFrom(file: string | undefined): Promise<object> {
  if (file === undefined) return {}
  const { '@policy': _policy, ...data } = await objectFrom('--data', file)
  return data
}

/** Reads a JSON file that holds an object. */
export async function objectFrom(flag: string, file: string): Promise<JsonObject> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: can't read ${file}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch (error) {
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `${flag}: ${file} is not JSON: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
  if (!isPlainObject(data))
    throw new ThreadpostError('INVALID_OPTIONS', `${flag}: ${file} must hold an object`)
  return data as JsonObject
}
