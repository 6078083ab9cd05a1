import type { ListUnsubscribe } from '../../src/wire/tasks.js'

/** RFC 2369; with RFC 8058 for the one click. */
export function unsubscribeFields(target: ListUnsubscribe | undefined): [string, string][] {
  if (target === undefined) return []
  const places = [target.url, target.mailto === undefined ? undefined : `mailto:${target.mailto}`]
  const value = places.flatMap((place) => (place === undefined ? [] : [`<${place}>`])).join(', ')
  return [
    ['List-Unsubscribe', value],
    ...(target.oneClick ? [['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'] as [string, string]] : []),
  ]
}
