import type { RequestHandler, Router } from 'express'
import { bodyless, jsonBody } from '../web/body.js'
import { onlyWith } from '../web/methods.js'
import type { Gate } from './gate.js'
import { type Operation, type OperationName, OPERATIONS } from './operations.js'

/** It is a page as well, which others put on the router, before. */
const PAGE = '/login'
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
  const names = Object.keys(handlers) as OperationName[]
  // Whole paths first: `/messages/batch` is no message.
  const paths = new Set(
    names.map((name) => OPERATIONS[name].path).toSorted((a, b) => unknowns(a) - unknowns(b)),
  )
  for (const path of paths) {
    const route = path.replace(/\{(\w+)\}/g, ':$1')
    const here = names.filter((name) => OPERATIONS[name].path === path)
    for (const name of here) {
      const { method, scope, body }: Operation = OPERATIONS[name]
      const guards = scope === undefined ? [] : [gate.allow(scope)]
      const limit = scope === undefined ? Math.min(OPEN_LIMIT, bodyLimit) : bodyLimit
      const reads = body === undefined ? (method === 'post' ? [bodyless] : []) : [jsonBody(limit)]
      router[method](route, ...guards, ...reads, handlers[name] as RequestHandler)
    }
    const methods = here.map((name) => OPERATIONS[name].method)
    router.all(route, onlyWith(path === PAGE ? [...methods, 'get'] : methods))
  }
}

function unknowns(path: string): number {
  return path.split('{').length
}
