import { InvalidArgumentError } from 'commander'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/**
 * Parses a duration such as `500ms`, `3s`, `20m`, or `1h` to milliseconds.
 * @param bare the unit of a number without one, where the name of the flag says it; without it, such a number is refused
 */
function parse(text: string, bare?: keyof typeof UNITS): number {
  const [, digits = '', unit = bare] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? []
  if (digits === '' || unit === undefined)
    throw new InvalidArgumentError(
      `It must be a duration with a unit, such as 500ms, 3s, 20m, or 1h${digits === '' ? '' : `: ${digits} of which unit?`}`,
    )
  return Number(digits) * UNITS[unit as keyof typeof UNITS]
}

/** Parses a duration of 0 or more to milliseconds. */
export function parseDuration(text: string): number {
  return parse(text)
}

/** Parses a duration that is longer than 0 to milliseconds. */
export function parsePositiveDuration(text: string): number {
  return positive(parse(text))
}

/** Parses the value of `--seconds` to seconds: a duration, or a number of seconds. */
export function parseSeconds(text: string): number {
  return positive(parse(text, 's')) / UNITS.s
}

/** Parses a latency to milliseconds: a duration, or a number of milliseconds, as latencies are given. */
export function parseLatency(text: string): number {
  return parse(text, 'ms')
}

function positive(milliseconds: number): number {
  if (milliseconds === 0) throw new InvalidArgumentError('It must be longer than 0.')
  return milliseconds
}
