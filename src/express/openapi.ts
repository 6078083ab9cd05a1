import { z } from 'zod'
import { type Operation, OPERATIONS } from './operations.js'
import { components } from './schemas/messageSchema.js'
import { Problem } from './schemas/serviceSchema.js'

export interface OpenApiDocument {
  openapi: '3.1.0'
  [part: string]: unknown
}

type JsonSchema = Record<string, unknown>

const COMPONENTS = '#/components/schemas/'
const JSON_TYPE = 'application/json'

const PROBLEMS: Record<number, string> = {
  400: 'The request is invalid; `path` names the field.',
  401: 'A valid token is required.',
  403: "The token lacks the scope, or the request comes from another site's page.",
  404: 'Not found.',
  409: 'The request conflicts with the current state of the message, or with an earlier request.',
  413: 'The body is too large.',
  415: 'The body has another media type than this operation takes.',
  429: 'Too many wrong tokens from this address.',
  501: "The queue doesn't support this operation.",
  503: 'The queue is full or unavailable, or the mailer is closed. Try again later.',
}

let document: OpenApiDocument | undefined

/**
 * The OpenAPI 3.1 document of the HTTP API, generated from the operations that the router serves and their schemas. Its server URL
 * is relative, so that it works wherever the router is mounted.
 */
export function openApiDocument(): OpenApiDocument {
  return (document ??= {
    openapi: '3.1.0',
    info: {
      title: 'threadpost',
      version: '1',
      description: 'Sends mail through worker threads and reports the outcome of every message.',
    },
    servers: [{ url: './' }],
    security: [{ token: [] }, { session: [] }],
    paths: pathsOf(Object.entries<Operation>(OPERATIONS)),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A token with scopes: send, read, manage.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'threadpost_session',
          description: 'Set by `POST /login`.',
        },
      },
      schemas: schemasOf(),
    },
  })
}

function schemasOf(): Record<string, JsonSchema> {
  const { schemas } = z.toJSONSchema(components, { io: 'input', uri: (id) => COMPONENTS + id })
  return Object.fromEntries(
    Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema as JsonSchema]),
  )
}

function pathsOf(operations: [string, Operation][]): Record<string, JsonSchema> {
  const paths: Record<string, JsonSchema> = {}
  for (const [operationId, operation] of operations) {
    const entry = (paths[operation.path] ??= {})
    entry[operation.method] = toOperationObject(operationId, operation)
  }
  return paths
}

function toOperationObject(operationId: string, operation: Operation): JsonSchema {
  const { scope, summary, body, bodyType = JSON_TYPE, answer } = operation
  const parameters = parametersOf(operation)
  return {
    operationId,
    summary,
    ...(scope === undefined
      ? { security: [] }
      : { description: `Requires the scope \`${scope}\`.`, 'x-scope': scope }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { [bodyType]: { schema: referTo(body) } } } }),
    responses: {
      [answer.status]: { description: answer.description, ...contentOf(answer.content) },
      ...Object.fromEntries(problemsOf(operation).map((status) => [status, problem(status)])),
    },
  }
}

function parametersOf({ path, query, headers = {} }: Operation): JsonSchema[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, schema]) => {
    const { description, ...rest } = inline(schema as z.ZodType)
    const required = !(schema as z.ZodType).safeParse(undefined).success
    return {
      name,
      in: 'query',
      ...(required ? { required } : {}),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
  const inHeader = Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  }))
  return [...inPath, ...inQuery, ...inHeader]
}

function contentOf(content: z.ZodType | string | undefined): JsonSchema {
  if (content === undefined) return {}
  if (typeof content === 'string') return { content: { [content]: { schema: { type: 'string' } } } }
  return { content: { [JSON_TYPE]: { schema: referTo(content) } } }
}

function problemsOf({ scope, problems }: Operation): number[] {
  return [...new Set([...problems, ...(scope === undefined ? [] : [401, 403, 429])])].sort((a, b) => a - b)
}

function problem(status: number): JsonSchema {
  return {
    description: PROBLEMS[status] ?? 'An error.',
    content: { 'application/problem+json': { schema: referTo(Problem) } },
  }
}

function referTo(schema: z.ZodType): JsonSchema {
  const id = components.get(schema)?.id
  return id === undefined ? inline(schema) : { $ref: COMPONENTS + id }
}

function inline(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return rest
}
