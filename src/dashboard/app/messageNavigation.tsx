import { useEffect, useState } from 'preact/hooks'
import type { Neighbors } from '../viewModels.js'
import { lastListed } from './messagesPage.js'
import { hrefOf } from './navigation.js'
import { get } from './request.js'

/** Back to the list, and to the previous and next message of it, also beyond the page that was listed. */
export function MessageNavigation({ id }: { id: string }) {
  const { search, ids } = lastListed()
  const at = ids.indexOf(id)
  const [found, setFound] = useState<Neighbors & { of: string }>()
  const listed = at < 0 ? {} : { newer: ids[at - 1], older: ids[at + 1] }
  const known = listed.newer !== undefined && listed.older !== undefined
  useEffect(() => {
    if (known) return
    const controller = new AbortController()
    const filters = new URLSearchParams(search)
    filters.delete('cursor')
    get<Neighbors>(
      `messages/${encodeURIComponent(id)}/neighbors?${filters.toString()}`,
      controller.signal,
    ).then(
      (neighbors) => setFound({ ...neighbors, of: id }),
      // The page of the message reports its own failure; without these links, the list still leads to the others.
      () => undefined,
    )
    return () => controller.abort()
  }, [id, known])
  const neighbor = (to: keyof Neighbors, text: string) => {
    const other = listed[to] ?? (found?.of === id ? found[to] : undefined)
    return other !== undefined && <a href={hrefOf(`messages/${other}`)}>{text}</a>
  }
  return (
    <nav class="message-nav" aria-label="Messages of the list">
      <a class="back" href={`${hrefOf('messages')}${search === '' ? '' : `?${search}`}`}>
        ‹ {search === '' ? 'All messages' : 'Back to the search'}
      </a>
      <span>
        {neighbor('newer', 'Previous')} {neighbor('older', 'Next')}
      </span>
    </nav>
  )
}
