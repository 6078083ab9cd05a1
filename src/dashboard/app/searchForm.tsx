import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { go, hrefOf } from './navigation.js'

/** Milliseconds between the last keystroke and the search. */
const DEBOUNCE = 250

interface SearchFormProps {
  /** The page that shows the matches. */
  place: string
  query: URLSearchParams
  /** The fields. The one with the name `q` gets the focus with the key `/`. */
  names: readonly string[]
  /** Returns what a field shows. @default the text of the query */
  toField?: (name: string, query: URLSearchParams) => string
  /** Returns what the query contains for a field that isn’t empty. @default the value of the field */
  toQuery?: (name: string, value: string) => string
  /** Whether its fields are in three columns, instead of two. */
  three?: boolean
  children: ComponentChildren
}

/** A search form. The query is part of the URL, so that a search can be linked to and is in the browser’s history. */
export function SearchForm({
  place,
  query,
  names,
  toField = (name) => query.get(name) ?? '',
  toQuery = (_name, value) => value,
  three = false,
  children,
}: SearchFormProps) {
  const form = useRef<HTMLFormElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)

  // The URL determines every field, except the one that the user is typing in.
  useEffect(() => {
    for (const field of form.current?.querySelectorAll<HTMLInputElement | HTMLSelectElement>('[name]') ?? [])
      if (field !== document.activeElement) field.value = toField(field.name, query)
  }, [query.toString()])
  useEffect(() => () => clearTimeout(timer.current), [])
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const { target } = event
      if (event.key !== '/' || (target instanceof HTMLElement && target.matches('input, select, textarea')))
        return
      event.preventDefault()
      form.current?.querySelector<HTMLInputElement>('[name=q]')?.focus()
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [])

  const apply = (replace: boolean) => {
    clearTimeout(timer.current)
    if (form.current === null) return
    const data = new FormData(form.current)
    const fields = names.flatMap((name) => {
      const input = data.get(name)
      const value = typeof input === 'string' ? input.trim() : ''
      return value === '' ? [] : [[name, toQuery(name, value)]]
    })
    const href = hrefOf(place, Object.fromEntries(fields) as Record<string, string>)
    if (href !== location.hash) go(href, { replace })
  }
  return (
    <form
      class={three ? 'filters three' : 'filters'}
      role="search"
      ref={form}
      onSubmit={(event) => {
        event.preventDefault()
        apply(false)
      }}
      onInput={() => {
        clearTimeout(timer.current)
        timer.current = setTimeout(() => apply(true), DEBOUNCE)
      }}
    >
      {children}
    </form>
  )
}
