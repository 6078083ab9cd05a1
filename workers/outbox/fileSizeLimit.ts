import { readFileSync } from 'node:fs'

/** A line of /proc/self/limits: the name, the limit in force, and the one up to which the process may raise it. */
const MAX_FILE_SIZE = /^Max file size\s+(\d+)/m

/**
 * Returns the size in bytes that a file of this process may reach (RLIMIT_FSIZE, `ulimit -f`); Infinity if there is no limit,
 * and where the system doesn't publish it. SQLite meets the limit only when it copies its log into the file: too late for
 * the messages that it has accepted until then.
 */
export function fileSizeLimit(): number {
  try {
    const [, bytes] = MAX_FILE_SIZE.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return bytes === undefined ? Infinity : Number(bytes)
  } catch {
    // Only Linux has this file.
    return Infinity
  }
}
