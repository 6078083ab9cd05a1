import { useEffect, useState } from 'preact/hooks'
import { root } from './request.js'

export type Scope = 'send' | 'read' | 'manage'

/** The session of this browser. */
export interface Session {
  /** Whether the user logged in, and so can log out. */
  login: boolean
  scopes: readonly Scope[]
}

let session: Promise<Session> | undefined
/** Known once the promise is fulfilled: a page that is opened later needs no second render. */
let loaded: Session | undefined

function load(): Promise<Session> {
  session ??= fetch(new URL('session', root)).then(
    async (response) => {
      const { login = false, scopes = [] } = response.ok ? ((await response.json()) as Partial<Session>) : {}
      return { login, scopes }
    },
    () => ({ login: false, scopes: [] }),
  )
  return session
}

/** Returns the session once it is known. */
export function useSession(): Session | undefined {
  const [known, setKnown] = useState(loaded)
  useEffect(() => {
    void load().then((fresh) => {
      loaded = fresh
      setKnown(fresh)
    })
  }, [])
  return known
}

/** Whether the user may do what requires this scope: a button that the server would refuse isn't shown. */
export function useMay(scope: Scope): boolean {
  return useSession()?.scopes.includes(scope) === true
}
