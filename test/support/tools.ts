import { describe, it } from 'vitest'
import { findTools, installLine, type Tool, type ToolName } from './prerequisites.mjs'

const found = findTools()

/** A program that `npm test` found or fetched, or undefined. */
export function tool(name: ToolName): Tool | undefined {
  return found[name]
}

type Needed<N extends ToolName> = Record<N, Tool>

function missing(names: readonly ToolName[]): string | undefined {
  const absent = names.filter((name) => !found[name])
  if (absent.length === 0) return undefined
  const lines = new Set(absent.map(installLine))
  return `needs ${absent.join(' and ')}: ${[...lines].join('; ')}`
}

/** In CI everything must be there, elsewhere a test without its program is skipped and says how to get it. */
function without(message: string): void {
  it(message, (test) => {
    if (process.env['CI'] === 'true') throw new Error(message)
    test.skip(message)
  })
}

/** A test that talks to programs which may be missing; it is given them by name. */
export function itWith<const N extends ToolName>(
  names: readonly N[],
  name: string,
  test: (tools: Needed<N>) => void | Promise<void>,
  timeout?: number,
): void {
  const message = missing(names)
  if (message) without(`${name} (${message})`)
  else it(name, () => test(found as Needed<N>), timeout)
}

/** The same for a group of tests, whose hooks may start the programs. */
export function describeWith<const N extends ToolName>(
  names: readonly N[],
  name: string,
  tests: (tools: Needed<N>) => void,
): void {
  const message = missing(names)
  describe(name, () => {
    if (message) without(message)
    else tests(found as Needed<N>)
  })
}
