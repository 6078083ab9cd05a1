import type { RequestHandler, Router } from 'express'
import { bodyless, jsonBody } from './body.js'
import type { Gate } from './gate.js'
import { type Operation, type OperationName, OPERATIONS } from './operations.js'

/**
 * Puts operations on a router: what is served is what the document says, for both are made from the same list.
 * @param bodyLimit bytes of a request's body
 */
export function serve(
  router: Router,
  handlers: Partial<Record<OperationName, RequestHandler>>,
  gate: Gate,
  bodyLimit: number,
): void {
  for (const [name, handler] of Object.entries(handlers) as [OperationName, RequestHandler][]) {
    const { method, path, scope, body }: Operation = OPERATIONS[name]
    const guards = scope === undefined ? [] : [gate.allow(scope)]
    const reads = body === undefined ? (method === 'post' ? [bodyless] : []) : [jsonBody(bodyLimit)]
    router[method](path.replace(/\{(\w+)\}/g, ':$1'), ...guards, ...reads, handler)
  }
}
