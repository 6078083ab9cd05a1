import type { RequestHandler } from 'express'

/** What a token may do: queue mail; read messages; cancel, retry and mark them. */
export type Scope = 'send' | 'read' | 'manage'

export const SCOPES = ['send', 'read', 'manage'] as const satisfies readonly Scope[]

/** Makes the handler that lets only those pass who have a scope. */
export type Allow = (scope: Scope) => RequestHandler
