import type { ListUnsubscribe } from './tasks.js'

/** List-Unsubscribe (RFC 2369), and List-Unsubscribe-Post for one-click unsubscription (RFC 8058). */
export function unsubscribeFields(target: ListUnsubscribe | undefined): [string, string][] {
  if (target === undefined) return []
  const urls = [target.url, target.mailto === undefined ? undefined : `mailto:${target.mailto}`]
  const value = urls.flatMap((url) => (url === undefined ? [] : [`<${url}>`])).join(', ')
  return [
    ['List-Unsubscribe', value],
    ...(target.oneClick ? [['List-Unsubscribe-Post', 'List-Unsubscribe=One-Click'] as [string, string]] : []),
  ]
}
