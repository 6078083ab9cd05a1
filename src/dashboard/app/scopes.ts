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
  const [known, setKnown] = useState<Session>()
  useEffect(() => void load().then(setKnown), [])
  return known
}

/** Whether the user may do what requires this scope: a button that the server would refuse isn't shown. */
export function useMay(scope: Scope): boolean {
  return useSession()?.scopes.includes(scope) === true
}
