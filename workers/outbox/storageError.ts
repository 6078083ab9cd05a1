/** Codes of SQLite and of Node for a disk, a quota or a device that does not take what is written. */
const STORAGE = /^(?:SQLITE_(?:FULL|IOERR|CANTOPEN)|ENOSPC|EDQUOT|EFBIG|EIO)/
/** The same, and what is wrong with the file as a whole. */
const ENVIRONMENT = /^SQLITE_(?:BUSY|LOCKED|READONLY|NOMEM|CORRUPT|NOTADB|PROTOCOL)|^EROFS/

/** Whether space may help: a full disk, or what a quota or a failing device makes of a write. */
export function isStorageError(error: unknown): boolean {
  return STORAGE.test(codeOf(error))
}

/** Whether the disk or the file is at fault, and not the request. */
export function isEnvironmentError(error: unknown): boolean {
  return isStorageError(error) || ENVIRONMENT.test(codeOf(error))
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : ''
}
