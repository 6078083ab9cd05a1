import { useLive } from './liveState.js'

const whole = new Intl.NumberFormat('en-US')

export function count(value: number): string {
  return whole.format(Math.round(value))
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** A short form of a rate or share: small values have decimals, large ones are rounded to thousands. */
export function short(value: number): string {
  if (value >= 100_000) return `${Math.round(value / 1000)}k`
  if (value >= 10 || value === 0) return count(value)
  return value.toFixed(value < 1 ? 2 : 1)
}

export function milliseconds(ms: number): string {
  if (ms < 1) return `${ms.toFixed(2)} ms`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return duration(ms)
}

export function duration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = seconds / 60
  if (minutes < 60) return `${Math.floor(minutes)} min`
  const hours = minutes / 60
  if (hours < 48) return `${Math.floor(hours)} h ${Math.floor(minutes % 60)} min`
  return `${Math.floor(hours / 24)} days`
}

export function bytes(size: number): string {
  if (size < 1000) return `${size} B`
  if (size < 1e6) return `${(size / 1000).toFixed(1)} kB`
  return `${(size / 1e6).toFixed(1)} MB`
}

/** The one format of times: local, with seconds, as the browser's language writes them. */
const times = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

/** A time in full. */
export function moment(at: string | number): string {
  return times.format(new Date(at))
}

const HOUR = 60 * 60_000

/** A time, relative to now if it is less than an hour away. */
function relative(at: string, now = Date.now()): string {
  const ms = Date.parse(at) - now
  if (Math.abs(ms) >= HOUR) return moment(at)
  if (Math.abs(ms) < 1_000) return 'just now'
  const seconds = Math.round(Math.abs(ms) / 1000)
  const text = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`
  return ms < 0 ? `${text} ago` : `in ${text}`
}

/** A time that stays true while the page is open; its title is the time in full. */
export function Time({ at }: { at: string }) {
  useLive()
  return (
    <time dateTime={at} title={moment(at)}>
      {relative(at)}
    </time>
  )
}

/** Writes the times in a sentence of the server, which are UTC, as all other times of the page. */
export function withLocalTimes(sentence: string): string {
  return sentence.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g, (_, day: string, time: string) =>
    moment(`${day}T${time}Z`),
  )
}
