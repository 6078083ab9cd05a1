import { ThreadpostError } from '../index.js'

/** What nodemailer can do and a thread can't, or threadpost won't: named, with what to do in its place. */
export function unsupported(path: string, instead: string): never {
  throw new ThreadpostError('UNSUPPORTED', `${path}: threadpost/nodemailer does not take this. ${instead}`, {
    path,
  })
}

/** Refuses what asks for something; what is left out, empty or false asks for nothing. */
export function refuse(given: Record<string, unknown>, fields: Readonly<Record<string, string>>): void {
  for (const [field, instead] of Object.entries(fields)) {
    const value = given[field]
    if (value === undefined || value === null || value === false || value === '') continue
    if (Array.isArray(value) && value.length === 0) continue
    unsupported(field, instead)
  }
}
