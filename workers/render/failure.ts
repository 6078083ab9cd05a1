import type { SourceLocation } from '../../src/errors.js'

/** A template that can't be rendered; becomes a rejected outcome, with the place in the source. */
export class TemplateFailure extends Error {
  constructor(
    readonly code: 'TEMPLATE_ERROR' | 'MISSING_DATA' | 'UNKNOWN_TEMPLATE',
    message: string,
    readonly details: { location?: SourceLocation; missing?: string[] } = {},
  ) {
    super(message)
  }
}
