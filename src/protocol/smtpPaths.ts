/** The part of a connection of the smtp-server package that reads MAIL and RCPT. */
interface PathReader<Parsed> {
  _parseAddressCommand(name: string, command: Buffer | string): Parsed | false
}

/** A command with a path (RFC 5321 section 4.1.2): the text before its local part, the local part, and the rest. */
const PATH =
  /^([^<]*<)("(?:[^"\\\p{Cc}\p{Cf}]|\\[ -~]){1,64}"|[^\s"<>@\\,:;()[\]\p{Cc}\p{Cf}]{1,64})(@[^<>\s@]+>.*)$/su
const UNUSUAL = /^[".]|\.\.|\.$/
const PLAIN = 'x'

/**
 * Accepts the paths that the smtp-server package refuses although they are in use: with a quoted local part, within which it looks for
 * white space and dots, and with dots at the edges or in a row, as Japanese carriers issued them.
 */
export function acceptUnusualPaths<Parsed extends { address: string }>(connection: PathReader<Parsed>): void {
  const parse = connection._parseAddressCommand.bind(connection)
  connection._parseAddressCommand = (name, command) => {
    const [, before = '', local = '', rest = ''] = PATH.exec(command.toString()) ?? []
    if (!UNUSUAL.test(local)) return parse(name, command)
    const parsed = parse(name, `${before}${PLAIN}${rest}`)
    return parsed && { ...parsed, address: `${local}${parsed.address.slice(PLAIN.length)}` }
  }
}
