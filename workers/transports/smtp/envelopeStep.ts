/** The next step after a reply to one of the envelope's commands. */
export type EnvelopeStep =
  /** The reply to the next command. */
  | 'next'
  /** The message: the server accepted at least one recipient and answered 354. */
  | 'data'
  /** A lone dot: the server answered 354 although it accepted no recipient (RFC 2920 section 3.1). Its reply follows. */
  | 'empty'
  /** The message: the server takes no more recipients (RFC 5321 section 4.5.3.1.10), so DATA is the next command. */
  | 'enough'
  /** Nothing: the transaction is over, and the message was not sent. */
  | 'done'
  /** Nothing: the session may be the cause of the refusal, so the message is tried on a fresh connection. */
  | 'elsewhere'
  /** The end of the session: it takes no mail without another login. The transaction is over. */
  | 'unusable'
  /** The end of the session: the reply can't follow this command. */
  | 'invalid'
