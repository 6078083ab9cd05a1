import type { RequestHandler, Router } from 'express'
import { bodyless, jsonBody } from './body.js'
import type { Gate } from './gate.js'
import { type Operation, type OperationName, OPERATIONS } from './operations.js'

/** Bytes of a body that anybody may send. */
const OPEN_LIMIT = 10_000

/**
 * Puts operations on a router: what is served is what the document says, for both are made from the same list.
 * @param bodyLimit bytes of a request's body, where not everybody may send one
 */
export function serve(
  router: Router,
  handlers: Partial<Record<OperationName, RequestHandler>>,
  gate: Gate,
  bodyLimit = OPEN_LIMIT,
): void {
  for (const [name, handler] of Object.entries(handlers) as [OperationName, RequestHandler][]) {
    const { method, path, scope, body }: Operation = OPERATIONS[name]
    const guards = scope === undefined ? [] : [gate.allow(scope)]
    const limit = scope === undefined ? Math.min(OPEN_LIMIT, bodyLimit) : bodyLimit
    const reads = body === undefined ? (method === 'post' ? [bodyless] : []) : [jsonBody(limit)]
    router[method](path.replace(/\{(\w+)\}/g, ':$1'), ...guards, ...reads, handler)
  }
}
