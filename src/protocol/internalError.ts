/** The sentence of an `INTERNAL_ERROR` for users. The stack is only in the log, under the second sentence. */
export const INTERNAL_ERROR_MESSAGE = 'An internal error occurred; the log has the details.'
export const INTERNAL_ERROR_LOGGED = 'Internal error while delivering a message'
