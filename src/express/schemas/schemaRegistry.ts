import { z } from 'zod'

/** Every schema that has a name of its own in the OpenAPI document. */
export const components = z.registry<{ id: string; description?: string }>()

/** Gives a schema its name in the document. */
export function named<T extends z.ZodType>(id: string, schema: T, description?: string): T {
  components.add(schema, { id, ...(description === undefined ? {} : { description }) })
  return schema
}
