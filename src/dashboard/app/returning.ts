import { useEffect, useRef, useState } from 'preact/hooks'

/** What was shown when one left, and how far one had scrolled. */
let left: { shown: { search: string }; scroll: number } | undefined

/** A state that is still there when one comes back to the same search, as is one's place in it. */
export function useReturning<T extends { search: string }>(
  search: string,
): [T | undefined, (shown: T) => void] {
  const back = left?.shown.search === search ? left : undefined
  const [shown, setShown] = useState(back?.shown as T | undefined)
  const last = useRef(shown)
  last.current = shown
  useEffect(() => {
    // Later than the page's own beginning at its top.
    if (back !== undefined) setTimeout(() => scrollTo(0, back.scroll))
    return () => {
      if (last.current !== undefined) left = { shown: last.current, scroll: scrollY }
    }
  }, [])
  return [shown, setShown]
}
