import { closeSync, openSync } from 'node:fs'

/**
 * Makes an empty file that only this user may read, where there is none. One that is there is not opened, here or anywhere
 * else but by SQLite: the operating system drops all locks that a process has on a file as soon as the process closes
 * any descriptor of it, and another mailer of this process may rely on them.
 */
export function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
